"""A service from its model: read, validated, authorised and answered as AWS does, in each protocol. Real clients, no server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from local.aws import door, modelled_service, pass_role, seam, supported
from local.aws.modelled_service import Answer, Call, ModelledService, Operation, ServiceError, no_resource, paginated
from tests.fixtures.in_process import ACCOUNT, REGION, adapter, client, dispatch, user
from tests.fixtures.platform import allow

APPLICATION = f"arn:aws:emr-serverless:{REGION}:{ACCOUNT}:/applications"

_kept = modelled_service.store()


def _application_arn(call: Call) -> str:
    return f"arn:aws:emr-serverless:{call.region}:{call.account}:/applications/{call.params['applicationId']}"


def _create_application(call: Call) -> Answer:
    made = {"applicationId": f"00app{len(_kept)}", "arn": "a", "name": call.params.get("name", "")}
    _kept[made["applicationId"]] = {**made, "createdAt": 1_700_000_000.5, **call.params}
    return made


def _get_application(call: Call) -> Answer:
    found = _kept.get(call.params["applicationId"])
    if found is None:
        raise ServiceError("ResourceNotFoundException", f"Application {call.params['applicationId']} does not exist")
    found = {"state": "CREATED", "updatedAt": 1_700_000_001, **found}
    return {"application": found}


def _list_applications(call: Call) -> Answer:
    more = {"id": "x", "arn": "a", "releaseLabel": "r", "type": "Spark", "state": "CREATED", "createdAt": 1, "updatedAt": 1}
    return paginated(call, [{**more, "name": found["name"]} for found in _kept.values()])


def _delete_application(call: Call) -> Answer:
    call.require("kms:Decrypt", "arn:aws:kms:us-east-1:000000000000:key/k")
    raise RuntimeError("a room's own mistake")


def _describe_clusters(call: Call) -> Answer:
    if "Marker" in call.params:
        raise ServiceError("InvalidParameterValue", "Value 'x' at 'Marker' is not one that DescribeClusters answered")
    return {"Clusters": [{"ClusterIdentifier": call.params["ClusterIdentifier"], "ClusterCreateTime": 1_700_000_000}]}


EMR_SERVERLESS = ModelledService(
    name="emr-serverless",
    state={"applications": _kept},
    operations={
        "CreateApplication": Operation(_create_application, on=no_resource),
        "GetApplication": Operation(_get_application, on=_application_arn),
        "ListApplications": Operation(_list_applications, on=no_resource),
        "DeleteApplication": Operation(_delete_application, on=_application_arn),
        "StartJobRun": Operation(lambda _: {}, on=_application_arn, passes={"executionRoleArn": "emr-serverless"}),
    },
)
MANY = 64
"""More calls than any pool of threads that asyncio makes by itself answers at once."""

_all_there = threading.Barrier(MANY)


def _list_workgroups(_: Call) -> Answer:
    _all_there.wait(timeout=30)
    return {"workgroups": []}


REDSHIFT_SERVERLESS = ModelledService(
    name="redshift-serverless",
    operations={
        "GetNamespace": Operation(lambda call: {"namespace": {"namespaceName": call.params["namespaceName"]}}, on=no_resource),
        "ListWorkgroups": Operation(_list_workgroups, on=no_resource),
    },
)
REDSHIFT = ModelledService(
    name="redshift",
    invalid="InvalidParameterValue",
    operations={"DescribeClusters": Operation(_describe_clusters, on=no_resource)},
)


@pytest.fixture(scope="module", autouse=True)
def services() -> Iterator[None]:
    """The three services, as the adapter would register them."""
    adapter(EMR_SERVERLESS, REDSHIFT_SERVERLESS, REDSHIFT)
    yield
    _kept._data.clear()


def test_a_rest_json_operation_reads_and_answers_the_shapes_of_the_model() -> None:
    emr = client("emr-serverless")
    made = emr.create_application(name="one", releaseLabel="emr-spark-8.0.0", type="SPARK", tags={"a": "b"}, clientToken="t")
    found = emr.get_application(applicationId=made["applicationId"])["application"]
    assert found["tags"] == {"a": "b"}
    assert found["createdAt"].timestamp() == 1_700_000_000.5


def test_json_and_query_protocols_answer_too() -> None:
    assert client("redshift-serverless").get_namespace(namespaceName="lake")["namespace"]["namespaceName"] == "lake"
    cluster = client("redshift").describe_clusters(ClusterIdentifier="c")["Clusters"][0]
    assert (cluster["ClusterIdentifier"], cluster["ClusterCreateTime"].timestamp()) == ("c", 1_700_000_000)


def test_calls_that_wait_for_each_other_are_all_under_way_at_once() -> None:
    headers = {
        "x-amz-target": "RedshiftServerless.ListWorkgroups", "content-type": "application/x-amz-json-1.1",
        "authorization": door.authorization("test", "redshift-serverless"),
    }  # fmt: skip
    serve = seam.module("app")._dispatch_service_request

    async def all_at_once() -> list[int]:
        answers = await asyncio.gather(*(serve("POST", "/", headers, b"{}", {}, str(number)) for number in range(MANY)))
        return [status for status, *_ in answers]

    assert asyncio.run(all_at_once()) == [200] * MANY


def test_an_error_is_the_exception_of_the_model() -> None:
    emr = client("emr-serverless")
    with pytest.raises(emr.exceptions.ResourceNotFoundException, match="Application 00nothing does not exist") as caught:
        emr.get_application(applicationId="00nothing")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_a_value_that_the_model_forbids_is_refused_with_its_name() -> None:
    emr = client("emr-serverless")
    with pytest.raises(emr.exceptions.ValidationException, match=r"Value 'PPC' at 'architecture' failed .* enum value set"):
        emr.create_application(releaseLabel="r", type="SPARK", architecture="PPC")
    with pytest.raises(emr.exceptions.ValidationException, match=r"Value 'a b' at 'name' failed .* pattern"):
        emr.create_application(releaseLabel="r", type="SPARK", name="a b")


def test_a_member_that_is_missing_is_refused_by_the_service_too() -> None:
    assert "releaseLabel" in EMR_SERVERLESS.api.faults("CreateApplication", {"type": "SPARK", "clientToken": "t"})


def test_a_list_comes_in_pages_of_the_callers_size() -> None:
    emr = client("emr-serverless")
    for name in ("p1", "p2", "p3"):
        emr.create_application(name=name, releaseLabel="r", type="SPARK")
    pages = list(emr.get_paginator("list_applications").paginate(PaginationConfig={"PageSize": 2}))
    names = [found["name"] for page in pages for found in page["applications"]]
    assert len(pages) == (len(names) + 1) // 2
    assert names[-3:] == ["p1", "p2", "p3"]
    with pytest.raises(emr.exceptions.ValidationException, match="nextToken is not one that ListApplications answered"):
        emr.list_applications(nextToken="mine")


def test_a_caller_may_do_what_a_policy_allows_on_that_resource_only() -> None:
    made = client("emr-serverless").create_application(releaseLabel="r", type="SPARK")["applicationId"]
    emr = client("emr-serverless", key=user(allow("emr-serverless:GetApplication", f"{APPLICATION}/{made}")))
    assert emr.get_application(applicationId=made)["application"]["applicationId"] == made
    with pytest.raises(ClientError, match=rf"not authorized to perform: emr-serverless:GetApplication on resource: {APPLICATION}/00other"):
        emr.get_application(applicationId="00other")
    with pytest.raises(ClientError, match="not authorized to perform: emr-serverless:ListApplications"):
        emr.list_applications()


def test_an_action_in_the_query_string_names_no_other_operation() -> None:
    emr = client("emr-serverless", key=user(allow("emr-serverless:ListApplications")))
    emr.meta.events.register("before-sign.*", lambda request, **_: setattr(request, "url", f"{request.url}?Action=ListApplications"))
    with pytest.raises(ClientError, match="not authorized to perform: emr-serverless:GetApplication"):
        emr.get_application(applicationId="00x")


def test_a_path_that_is_no_operation_is_only_for_who_may_do_everything() -> None:
    named = EMR_SERVERLESS.name
    for action, status in (("emr-serverless:Get*", 403), ("*", 501)):
        signed = {"authorization": f"AWS4-HMAC-SHA256 Credential={user(allow(action))}/20260101/{REGION}/{named}/aws4_request"}
        answered = dispatch("PUT", "/nothing/here", signed)
        assert answered[0] == status


def test_a_right_that_an_operation_asks_for_by_itself_is_asked_of_the_caller() -> None:
    emr = client("emr-serverless", key=user(allow("emr-serverless:*")))
    with pytest.raises(ClientError, match="not authorized to perform: kms:Decrypt") as caught:
        emr.delete_application(applicationId="00x")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_log_groups_are_looked_for_by_who_may_in_the_region() -> None:
    region = f"arn:aws:logs:{REGION}:{ACCOUNT}"
    client("logs", key=user(allow("logs:DescribeLogGroups", f"{region}:*"))).describe_log_groups()
    with pytest.raises(ClientError, match=r"not authorized to perform: logs:DescribeLogGroups on resource: .*:log-group::log-stream:"):
        client("logs", key=user(allow("logs:DescribeLogGroups", f"{region}:log-group:/mine"))).describe_log_groups()


def test_a_mistake_of_a_room_is_an_error_for_the_caller() -> None:
    with pytest.raises(ClientError, match="DeleteApplication failed; the platform's log says why"):
        client("emr-serverless").delete_application(applicationId="00x")


def test_a_query_service_words_its_errors_in_its_own_protocol() -> None:
    with pytest.raises(ClientError, match="Value 'x' at 'Marker'") as caught:
        client("redshift").describe_clusters(ClusterIdentifier="none", Marker="x")
    assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_what_is_served_is_let_through_the_door_and_the_rest_is_not() -> None:
    assert supported.is_supported("emr-serverless", "GetApplication")
    assert not supported.is_supported("emr-serverless", "GetDashboardForJobRun")
    assert pass_role.ROLES["emr-serverless", "StartJobRun"] == {"executionRoleArn": "emr-serverless"}


def test_an_operation_that_the_api_does_not_have_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="emr-serverless has no operations StartJob:"):
        modelled_service.serve(ModelledService(name="emr-serverless", operations={"StartJob": Operation(lambda _: {}, on=no_resource)}))


def test_stores_are_kept_as_ministack_keeps_its_own() -> None:
    module = seam.module("services.lake_emr_serverless")
    state = module.get_state()
    assert set(state) == {"applications"}
    before = len(_kept)
    module.load_persisted_state(
        json.loads(
            json.dumps(state, default=seam.module("core.persistence")._json_default),
            object_hook=seam.module("core.persistence")._json_object_hook,
        )
    )
    assert len(_kept) == before

"""The workgroup by which everybody queries."""

from __future__ import annotations

from tests.stacks.conftest import Assembly, flat


def test_results_are_encrypted_counted_and_go_where_the_workgroup_says(assembly: Assembly) -> None:
    (workgroup,) = assembly.properties("AWS::Athena::WorkGroup")
    configuration = workgroup["WorkGroupConfiguration"]
    results = configuration["ResultConfiguration"]
    encryption = results["EncryptionConfiguration"]
    assert (configuration["EnforceWorkGroupConfiguration"], configuration["PublishCloudWatchMetricsEnabled"]) == (True, True)
    assert configuration["RequesterPaysEnabled"] is False
    assert configuration["EngineVersion"] == {"SelectedEngineVersion": "Athena engine version 3"}
    assert encryption["EncryptionOption"] == "SSE_KMS"
    assert "keyslake" in flat(encryption["KmsKey"]).lower()
    assert flat(results["OutputLocation"]).startswith(f"s3://lakehouse-{assembly.env}-query-results-")
    assert flat(results["OutputLocation"]).endswith(f"/{workgroup['Name']}/")


def test_results_go_after_a_month_at_most(assembly: Assembly) -> None:
    (results,) = [b for b in assembly.properties("AWS::S3::Bucket") if "-query-results-" in flat(b["BucketName"])]
    assert [rule["ExpirationInDays"] for rule in results["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in rule] == [30]


def test_a_query_reads_a_gigabyte_in_dev_and_a_hundred_in_production_at_most(assemblies: dict[str, Assembly]) -> None:
    limits = {
        env: assembly.properties("AWS::Athena::WorkGroup")[0]["WorkGroupConfiguration"]["BytesScannedCutoffPerQuery"] / 10**9
        for env, assembly in assemblies.items()
    }
    assert limits == {"dev": 1, "local": 10, "staging": 10, "prod": 100}

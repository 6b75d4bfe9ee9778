"""What every test run needs before anything is imported: the checkout's own tools, and a synth that checks nothing twice."""

import os

from local.toolchain import Toolchain

# jsii starts `node` once, at the first aws_cdk import, so this stands before any test module.
os.environ.update(Toolchain().environment())
# CloudFormation's built-in validation costs x2.5 a synth; one test switches it on (docs/decisions.md).
os.environ.setdefault("CDK_VALIDATION", "false")
os.environ.setdefault("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")

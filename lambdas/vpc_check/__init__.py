"""What CloudFormation cannot do to a VPC: empty its default security group, and look at one that somebody else made."""

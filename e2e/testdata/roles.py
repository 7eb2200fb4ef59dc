"""Assumes roles of the local cloud with boto3, as a job of GitLab would.

    AWS_ENDPOINT_URL=http://127.0.0.1:PORT TOKEN_GOOD=… python roles.py
"""

import os
import tempfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::111111111111:role/towline"
OTHER = "arn:aws:iam::222222222222:role/deploy"
once = Config(retries={"total_max_attempts": 1})


def equal(got, want, what):
    assert got == want, f"{what}: found {got!r}, wanted {want!r}"


def assume(token):
    sts = boto3.client("sts", config=once)
    return sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="gl-42-2002", WebIdentityToken=os.environ["TOKEN_" + token])


def session(answer):
    given = answer["Credentials"]
    return boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def who(chosen):
    return chosen.client("sts").get_caller_identity()["Arn"]


first = assume("GOOD")
equal(first["Provider"].split(":oidc-provider/")[0], "arn:aws:iam::111111111111", "provider")
equal(first["SubjectFromWebIdentityToken"], "project_path:group/tiny:ref_type:branch:ref:main", "subject")
equal(who(session(first)), "arn:aws:sts::111111111111:assumed-role/towline/gl-42-2002", "identity")
session(first).client("s3").list_buckets()
print("assumed")

for token, code in [("BRANCH", "AccessDenied"), ("AUDIENCE", "InvalidIdentityToken"), ("LATE", "ExpiredTokenException")]:
    try:
        assume(token)
    except ClientError as error:
        equal(error.response["Error"]["Code"], code, token)
    else:
        raise AssertionError(f"{token}: found no error, wanted {code}")
print("refused")

second = session(first).client("sts").assume_role(
    RoleArn=OTHER, RoleSessionName="gl-42-2002", Tags=[{"Key": "gitlab:ref", "Value": "main"}]
)
equal(who(session(second)), "arn:aws:sts::222222222222:assumed-role/deploy/gl-42-2002", "identity")
print("chained")

with tempfile.NamedTemporaryFile("w") as file:
    file.write(os.environ["TOKEN_GOOD"])
    file.flush()
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]:
        del os.environ[name]
    os.environ |= {"AWS_WEB_IDENTITY_TOKEN_FILE": file.name, "AWS_ROLE_ARN": ROLE, "AWS_ROLE_SESSION_NAME": "by-file"}
    equal(who(boto3.Session()), "arn:aws:sts::111111111111:assumed-role/towline/by-file", "identity")
print("from a file")

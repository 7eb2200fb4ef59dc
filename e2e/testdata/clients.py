"""Drives the local cloud with boto3, as any program written for AWS would.

    AWS_ENDPOINT_URL=http://127.0.0.1:PORT python clients.py IMAGE

Each step prints what it has seen; the first surprise ends the program.
"""

import io
import json
import sys
import tarfile
import time
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

IMAGE = sys.argv[1]
BUCKET = "boto3-client"
ROLE = "arn:aws:iam::000000000000:role/training"
TAGS = [{"Key": "team", "Value": "boats"}, {"Key": "cost center", "Value": "42"}]
QUICKLY = {"Delay": 1, "MaxAttempts": 120}

once = Config(retries={"total_max_attempts": 1})
s3 = boto3.client("s3")
sm = boto3.client("sagemaker", config=once)
runtime = boto3.client("sagemaker-runtime", config=once)


def said(*words):
    print(*words, flush=True)


def equal(got, want, what):
    assert got == want, f"{what}: found {got!r}, wanted {want!r}"


def refused(code, call, **request):
    """The call fails with this code; its message is returned."""
    try:
        call(**request)
    except ClientError as error:
        equal(error.response["Error"]["Code"], code, call.__name__)
        return error.response["Error"].get("Message", "")
    raise AssertionError(f"{call.__name__}: found no error, wanted {code}")


def identity():
    equal(boto3.client("sts").get_caller_identity()["Account"], "000000000000", "account")
    said("identity")


def objects():
    s3.create_bucket(Bucket=BUCKET)
    for i in range(5):
        s3.put_object(Bucket=BUCKET, Key=f"data/train/part {i}.csv", Body=f"{i},{3 * i}\n1,3\n")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="data/", PaginationConfig={"PageSize": 2}))
    equal([len(page["Contents"]) for page in pages], [2, 2, 1], "keys by page")

    big = bytes(range(256)) * 4 * 12_000  # 12 MB: three parts
    s3.upload_fileobj(io.BytesIO(big), BUCKET, "big", Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20))
    back = io.BytesIO()
    s3.download_fileobj(BUCKET, "big", back)
    assert back.getvalue() == big, "a large object came back different"
    equal(s3.get_object(Bucket=BUCKET, Key="big", Range="bytes=255-257")["Body"].read(), b"\xff\x00\x01", "range")

    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "data/train/part 2.csv"})
    with urllib.request.urlopen(url) as answer:
        equal(answer.read(), b"2,6\n1,3\n", "presigned")

    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "data/train/part 2.csv"})
    equal(s3.head_object(Bucket=BUCKET, Key="copy")["ContentLength"], 8, "copy")
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "copy"}, {"Key": "big"}]})
    refused("404", s3.head_object, Bucket=BUCKET, Key="copy")
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="copy")
    refused("NoSuchBucket", s3.list_objects_v2, Bucket="nobody-made-this")
    said("objects: paging, parts, ranges, presigned, copies, deletions")


def job(name, **hyperparameters):
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": hyperparameters,
        "InputDataConfig": [{
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/train/"}},
        }],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Tags": TAGS,
    }


def ended(name):
    sm.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name, WaiterConfig=QUICKLY)
    return sm.describe_training_job(TrainingJobName=name)


def members(uri):
    """The files of an archive in S3, by name."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
        return {m.name.removeprefix("./"): archive.extractfile(m).read() for m in archive if m.isfile()}


def training():
    arn = sm.create_training_job(**job("fit", rate="0.1"))["TrainingJobArn"]
    assert arn.endswith(":training-job/fit"), arn
    described = ended("fit")
    equal(described["TrainingJobStatus"], "Completed", "status")
    equal(described["HyperParameters"], {"rate": "0.1"}, "hyperparameters")
    equal(described["SecondaryStatusTransitions"][-1]["Status"], "Completed", "last transition")
    assert described["TrainingStartTime"] <= described["TrainingEndTime"]

    model = described["ModelArtifacts"]["S3ModelArtifacts"]
    equal(model, f"s3://{BUCKET}/out/fit/output/model.tar.gz", "model archive")
    equal(json.loads(members(model)["model.json"]), {"factor": 3.0}, "model")
    output = members(f"s3://{BUCKET}/out/fit/output/output.tar.gz")
    equal(json.loads(output["evaluation.json"]), {"metrics": {"points": 10}}, "evaluation")

    events = boto3.client("logs").filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="fit/")["events"]
    assert "10 points, factor 3.0" in [e["message"] for e in events], events
    assert "already exists" in refused("ResourceInUse", sm.create_training_job, **job("fit"))
    refused("ValidationException", sm.create_training_job, **job("not_a_name"))
    refused("ValidationException", sm.describe_training_job, TrainingJobName="unknown")
    said("training: completed, archives, logs, names")
    return model


def troubles():
    sm.create_training_job(**job("fails", reason="the data are tired"))
    try:
        ended("fails")
    except WaiterError as error:
        assert "terminal failure" in str(error), error
    else:
        raise AssertionError("the waiter took a failure for an end")
    described = sm.describe_training_job(TrainingJobName="fails")
    equal(described["TrainingJobStatus"], "Failed", "status")
    assert "the data are tired" in described["FailureReason"], described["FailureReason"]

    sm.create_training_job(**job("sleeps", sleep="600"))
    while sm.describe_training_job(TrainingJobName="sleeps")["SecondaryStatus"] != "Training":
        time.sleep(0.1)
    time.sleep(1)
    sm.stop_training_job(TrainingJobName="sleeps")
    equal(ended("sleeps")["TrainingJobStatus"], "Stopped", "status")
    said("troubles: a failure with its reason, a job that is stopped")


def lists():
    pages = sm.get_paginator("list_training_jobs").paginate(SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2})
    names = [[j["TrainingJobName"] for j in page["TrainingJobSummaries"]] for page in pages]
    equal([n for page in names for n in page], ["fails", "fit", "sleeps"], "jobs")
    equal(max(map(len, names)), 2, "jobs on a page")
    found = sm.list_training_jobs(StatusEquals="Failed", NameContains="fail")["TrainingJobSummaries"]
    equal([j["TrainingJobName"] for j in found], ["fails"], "failed jobs")
    said("lists: pages, filters")


def tags():
    arn = sm.describe_training_job(TrainingJobName="fit")["TrainingJobArn"]
    sm.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "trains"}, {"Key": "new", "Value": ""}])
    sm.delete_tags(ResourceArn=arn, TagKeys=["cost center"])
    found = {t["Key"]: t["Value"] for page in sm.get_paginator("list_tags").paginate(ResourceArn=arn) for t in page["Tags"]}
    equal(found, {"team": "trains", "new": ""}, "tags")
    said("tags")


def model_of(name, data, greeting):
    sm.create_model(
        ModelName=name, ExecutionRoleArn=ROLE, Tags=TAGS,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": data, "Environment": {"GREETING": greeting}},
    )
    sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[
        {"VariantName": "main", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1},
    ])


def ask(number):
    answer = runtime.invoke_endpoint(EndpointName="ep", ContentType="text/csv", Body=str(number))
    equal(answer["ContentType"], "application/json", "content type")
    equal(answer["InvokedProductionVariant"], "main", "variant")
    return json.loads(answer["Body"].read())


def serving(data):
    model_of("m1", data, "ahoy")
    model_of("m2", data, "hello")
    sm.create_endpoint(EndpointName="ep", EndpointConfigName="m1", Tags=TAGS)
    equal(sm.describe_endpoint(EndpointName="ep")["EndpointStatus"], "Creating", "status")
    sm.get_waiter("endpoint_in_service").wait(EndpointName="ep", WaiterConfig=QUICKLY)
    equal(ask(14), {"y": 42.0, "greeting": "ahoy"}, "answer")
    refused("ModelError", runtime.invoke_endpoint, EndpointName="ep", ContentType="text/csv", Body="many")
    refused("ValidationError", runtime.invoke_endpoint, EndpointName="nobody", Body="1")
    refused("ValidationException", sm.create_endpoint, EndpointName="ep", EndpointConfigName="m1")

    sm.update_endpoint(EndpointName="ep", EndpointConfigName="m2")
    while sm.describe_endpoint(EndpointName="ep")["EndpointStatus"] == "Updating":
        ask(1)  # the old server answers until the new one does
    sm.get_waiter("endpoint_in_service").wait(EndpointName="ep", WaiterConfig=QUICKLY)
    equal(ask(1), {"y": 3.0, "greeting": "hello"}, "answer after the update")
    equal(sm.describe_endpoint(EndpointName="ep")["EndpointConfigName"], "m2", "configuration")
    said("serving: created, asked, updated without a gap")


def removal():
    equal([m["ModelName"] for m in sm.list_models(SortBy="Name", SortOrder="Ascending")["Models"]], ["m1", "m2"], "models")
    sm.delete_endpoint(EndpointName="ep")
    sm.get_waiter("endpoint_deleted").wait(EndpointName="ep", WaiterConfig=QUICKLY)
    for name in ("m1", "m2"):
        sm.delete_endpoint_config(EndpointConfigName=name)
        sm.delete_model(ModelName=name)
    refused("ValidationException", sm.describe_model, ModelName="m1")
    refused("ValidationException", sm.describe_endpoint_config, EndpointConfigName="m1")
    equal(sm.list_endpoints()["Endpoints"], [], "endpoints")
    equal(sm.list_endpoint_configs()["EndpointConfigs"], [], "configurations")
    said("removal")


def strangers():
    """What the local cloud has not got is said, in words that a client reads."""
    refused("UnknownOperationException", sm.list_apps)
    said("strangers")


identity()
objects()
trained = training()
troubles()
lists()
tags()
serving(trained)
removal()
strangers()

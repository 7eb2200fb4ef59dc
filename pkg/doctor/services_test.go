package doctor_test

import (
	"testing"

	"gitlab.com/towline/towline/pkg/doctor"
	"gitlab.com/towline/towline/pkg/fault"
)

func TestS3(t *testing.T) {
	s3 := func(change func(*doctor.S3)) doctor.S3 {
		s := doctor.S3{Bucket: "b", Prefix: "shop/", Region: "eu-west-1", Partition: "aws"}
		change(&s)
		return s
	}
	const left = "remove it by hand; to let towline doctor do so, allow s3:DeleteObject to the job's role"
	for _, tt := range []struct {
		name  string
		s3    doctor.S3
		want  doctor.Check
		paste string
	}{
		{"a bucket", s3(func(s *doctor.S3) { s.Found = "eu-west-1" }), doctor.Check{Name: "bucket", State: doctor.OK, Found: "s3://b, in eu-west-1"}, ""},
		{"a bucket of a service without regions", s3(func(*doctor.S3) {}), doctor.Check{Name: "bucket", State: doctor.OK, Found: "s3://b"}, ""},
		{"a bucket in another region", s3(func(s *doctor.S3) { s.Found = "us-east-1" }), doctor.Check{Name: "bucket", State: doctor.Failed, Code: fault.Repository,
			Found: "s3://b lies in us-east-1, and the environment in eu-west-1", Setting: "correct region or bucket of the environment in towline.yaml"}, ""},
		{"no bucket", s3(func(s *doctor.S3) { s.There = missing }), doctor.Check{Name: "bucket", State: doctor.Failed, Found: "find it: not there", Setting: "make it", Code: fault.Missing}, ""},
		{"a bucket that may not be listed", s3(func(s *doctor.S3) { s.There = denied }),
			doctor.Check{Name: "bucket", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied},
			`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"}`},
		{"an S3 that does not answer", s3(func(s *doctor.S3) { s.There = late }), doctor.Check{Name: "bucket", State: doctor.Failed, Found: "no answer within 10s", Code: fault.Timeout}, ""},
		{"writing", s3(func(*doctor.S3) {}), doctor.Check{Name: "write", State: doctor.OK, Found: "s3://b/shop/"}, ""},
		{"no writing", s3(func(s *doctor.S3) { s.Write = denied }),
			doctor.Check{Name: "write", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow s3:PutObject to the job's role", Code: fault.Denied},
			`{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/shop/*"}`},
		{"no reading, in China", s3(func(s *doctor.S3) { s.Read, s.Partition = denied, "aws-cn" }),
			doctor.Check{Name: "read", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow s3:GetObject to the job's role", Code: fault.Denied},
			`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws-cn:s3:::b/shop/*"}`},
		{"no reading where nothing was written", s3(func(s *doctor.S3) { s.Read = unasked }), doctor.Check{Name: "read", State: doctor.NotChecked, Found: "--offline"}, ""},
		{"removing", s3(func(*doctor.S3) {}), doctor.Check{Name: "remove", State: doctor.OK, Found: "s3://b/shop/"}, ""},
		{"no removing, of what was not written", s3(func(s *doctor.S3) { s.Remove = denied }),
			doctor.Check{Name: "remove", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow s3:DeleteObject to the job's role", Code: fault.Denied},
			`{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::b/shop/*"}`},
		{"an object that stays", s3(func(s *doctor.S3) { s.Remove, s.Left = denied, "s3://b/shop/.towline-doctor/x" }),
			doctor.Check{Name: "remove", State: doctor.Warning, Found: "do it: AccessDenied; it is left behind: s3://b/shop/.towline-doctor/x", Setting: left},
			`{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::b/shop/.towline-doctor/*"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			same(t, doctor.Facts{S3: tt.s3}, doctor.GroupS3, want{tt.want, tt.paste})
		})
	}
}

func TestSageMaker(t *testing.T) {
	sagemaker := func(d doctor.Described, logs doctor.Answer) doctor.SageMaker {
		d.Kind, d.Action, d.Name = "training-job", "sagemaker:DescribeTrainingJob", "shop-x"
		return doctor.SageMaker{Region: "eu-west-1", Account: "1", Project: "shop", Described: []doctor.Described{d}, Logs: logs}
	}
	for _, tt := range []struct {
		name      string
		sagemaker doctor.SageMaker
		want      doctor.Check
		paste     string
	}{
		{"what is not there", sagemaker(doctor.Described{}, doctor.Answer{}), doctor.Check{Name: "training job", State: doctor.OK, Found: "may be described"}, ""},
		{"what is there", sagemaker(doctor.Described{There: true}, doctor.Answer{}), doctor.Check{Name: "training job", State: doctor.OK, Found: "may be described; shop-x is there"}, ""},
		{"what may not be asked", sagemaker(doctor.Described{Answer: denied}, doctor.Answer{}),
			doctor.Check{Name: "training job", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied},
			`{"Effect":"Allow","Action":"sagemaker:DescribeTrainingJob","Resource":"arn:aws:sagemaker:eu-west-1:1:training-job/shop-*"}`},
		{"a service that is down", sagemaker(doctor.Described{Answer: remote}, doctor.Answer{}),
			doctor.Check{Name: "training job", State: doctor.Failed, Found: "ask it: connection refused", Setting: "try again", Code: fault.Remote}, ""},
		{"logs", sagemaker(doctor.Described{}, doctor.Answer{}), doctor.Check{Name: "logs", State: doctor.OK, Found: "may be read"}, ""},
		{"logs that may not be read", sagemaker(doctor.Described{}, denied), doctor.Check{Name: "logs", State: doctor.Warning, Found: "do it: AccessDenied",
			Setting: "allow logs:DescribeLogStreams and logs:GetLogEvents to the job's role: without them a training tells nothing"},
			`{"Effect":"Allow","Action":["logs:DescribeLogStreams","logs:GetLogEvents"],"Resource":"arn:aws:logs:eu-west-1:1:log-group:/aws/sagemaker/TrainingJobs:*"}`},
		{"what cannot be asked", sagemaker(doctor.Described{}, doctor.Answer{}), doctor.Check{Name: "create", State: doctor.NotChecked, Setting: "the job's role needs this",
			Found: "whether these are allowed cannot be asked without creating something"},
			`{"Effect":"Allow","Action":["sagemaker:CreateTrainingJob","sagemaker:StopTrainingJob","sagemaker:CreateModel","sagemaker:CreateEndpointConfig",` +
				`"sagemaker:CreateEndpoint","sagemaker:UpdateEndpoint","sagemaker:DeleteEndpoint","sagemaker:InvokeEndpoint","sagemaker:AddTags","sagemaker:ListTags"],` +
				`"Resource":["arn:aws:sagemaker:eu-west-1:1:training-job/shop-*","arn:aws:sagemaker:eu-west-1:1:model/shop-*",` +
				`"arn:aws:sagemaker:eu-west-1:1:endpoint-config/shop-*","arn:aws:sagemaker:eu-west-1:1:endpoint/shop-*"]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			same(t, doctor.Facts{SageMaker: tt.sagemaker}, doctor.GroupSageMaker, want{tt.want, tt.paste})
		})
	}
}

func TestRegistry(t *testing.T) {
	const image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/risk"
	registry := func(i doctor.ImageRepository) doctor.Registry {
		i.Name = image
		return doctor.Registry{Host: "111122223333.dkr.ecr.eu-west-1.amazonaws.com", ECR: true, Region: "eu-west-1", Account: "111122223333", Repositories: []doctor.ImageRepository{i}}
	}
	other := registry(doctor.ImageRepository{Push: denied})
	other.ECR, other.Host = false, "registry.example.com"
	two := registry(doctor.ImageRepository{Model: "risk"})
	two.Repositories = append(two.Repositories, doctor.ImageRepository{Model: "spam", Name: "registry.example.com/shop/spam"})
	noLogin := registry(doctor.ImageRepository{})
	noLogin.Login = denied
	const repository = `"arn:aws:ecr:eu-west-1:111122223333:repository/shop/risk"`
	for _, tt := range []struct {
		name     string
		registry doctor.Registry
		want     doctor.Check
		paste    string
	}{
		{"a login", registry(doctor.ImageRepository{}), doctor.Check{Name: "login", State: doctor.OK, Found: "111122223333.dkr.ecr.eu-west-1.amazonaws.com"}, ""},
		{"no login", noLogin, doctor.Check{Name: "login", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied},
			`{"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"}`},
		{"another registry", other, doctor.Check{Name: "login", State: doctor.NotChecked, Found: "registry.example.com is not ECR: the login of Docker or Podman is used, if there is one"}, ""},
		{"a repository", registry(doctor.ImageRepository{}), doctor.Check{Name: "repository", State: doctor.OK, Found: image}, ""},
		{"a repository of another registry", other, doctor.Check{Name: "repository", State: doctor.NotChecked, Found: "only ECR is asked beforehand"}, ""},
		{"a repository that may not be described", registry(doctor.ImageRepository{Asked: denied}),
			doctor.Check{Name: "repository", State: doctor.Warning, Found: "do it: AccessDenied", Setting: "allow it"},
			`{"Effect":"Allow","Action":"ecr:DescribeRepositories","Resource":` + repository + `}`},
		{"no repository", registry(doctor.ImageRepository{Missing: true}), doctor.Check{Name: "repository", State: doctor.Warning, Found: image + " is not there yet",
			Setting: "the first push makes it, if the job's role may: that cannot be asked without doing so"},
			`{"Effect":"Allow","Action":["ecr:CreateRepository","ecr:PutLifecyclePolicy","ecr:TagResource"],"Resource":` + repository + `}`},
		{"pulling", registry(doctor.ImageRepository{}), doctor.Check{Name: "pull", State: doctor.OK, Found: image}, ""},
		{"no pulling", registry(doctor.ImageRepository{Pull: denied}), doctor.Check{Name: "pull", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied},
			`{"Effect":"Allow","Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer","ecr:BatchCheckLayerAvailability"],"Resource":` + repository + `}`},
		{"pulling from what is not there", registry(doctor.ImageRepository{Missing: true, Pull: unasked}),
			doctor.Check{Name: "pull", State: doctor.NotChecked, Found: "the repository is not there yet"}, ""},
		{"pushing", registry(doctor.ImageRepository{}), doctor.Check{Name: "push", State: doctor.OK, Found: image + ": an upload was begun and cancelled"}, ""},
		{"pushing where no upload is cancelled", registry(doctor.ImageRepository{Left: true}),
			doctor.Check{Name: "push", State: doctor.OK, Found: image + ": an upload was begun; the registry cancels none, and forgets it by itself"}, ""},
		{"no pushing", registry(doctor.ImageRepository{Push: denied}),
			doctor.Check{Name: "push", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow this to the job's role", Code: fault.Denied},
			`{"Effect":"Allow","Action":["ecr:BatchCheckLayerAvailability","ecr:InitiateLayerUpload","ecr:UploadLayerPart","ecr:CompleteLayerUpload","ecr:PutImage","ecr:BatchGetImage"],"Resource":` + repository + `}`},
		{"no pushing to another registry", other, doctor.Check{Name: "push", State: doctor.Failed, Found: "do it: AccessDenied", Setting: "allow it", Code: fault.Denied}, ""},
		{"the second of two models", two, doctor.Check{Name: "pull spam", State: doctor.OK, Found: "registry.example.com/shop/spam"}, ""},
		{"a registry that is down", registry(doctor.ImageRepository{Push: remote}),
			doctor.Check{Name: "push", State: doctor.Failed, Found: "ask it: connection refused", Setting: "try again", Code: fault.Remote}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			same(t, doctor.Facts{Registry: tt.registry}, doctor.GroupRegistry, want{tt.want, tt.paste})
		})
	}
}

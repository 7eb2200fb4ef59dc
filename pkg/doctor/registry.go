package doctor

import (
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// Registry is what was found of the image registry.
type Registry struct {
	Skip string

	Host         string
	ECR          bool
	Partition    string
	Region       string
	Account      string // of ECR
	Login        Answer // asking ECR for one
	Repositories []ImageRepository
}

// ImageRepository is where the image of a model goes.
type ImageRepository struct {
	Model   string // named where there are several
	Name    string // host/path
	Asked   Answer // ECR, whether it is there
	Missing bool   // it is not
	Pull    Answer
	Push    Answer // an upload that was begun
	Left    bool   // the registry does not cancel uploads: it forgets them by itself
}

func (r Registry) checks() []Check {
	login := Check{Name: "login", State: NotChecked, Found: r.Host + " is not ECR: the login of Docker or Podman is used, if there is one"}
	if r.ECR {
		login = r.Login.check("login", r.Host).pasting(r.Login, allow([]string{"ecr:GetAuthorizationToken"}, []string{"*"}))
	}
	all := []Check{login}
	for _, repository := range r.Repositories {
		for _, c := range r.repository(repository) {
			if len(r.Repositories) > 1 {
				c.Name += " " + repository.Model
			}
			all = append(all, c)
		}
	}
	return all
}

func (r Registry) repository(i ImageRepository) []Check {
	there := Check{Name: "repository", State: NotChecked, Found: "only ECR is asked beforehand"}
	if r.ECR {
		there = i.Asked.check("repository", i.Name).pasting(i.Asked, allow([]string{"ecr:DescribeRepositories"}, []string{r.arn(i)})).as(Warning)
	}
	if i.Missing {
		there = Check{
			Name: "repository", State: Warning, Found: i.Name + " is not there yet",
			Setting: "the first push makes it, if the job's role may: that cannot be asked without doing so",
			Paste:   allow([]string{"ecr:CreateRepository", "ecr:PutLifecyclePolicy", "ecr:TagResource"}, []string{r.arn(i)}),
		}
	}
	pull := i.Pull.check("pull", i.Name).pasting(i.Pull, r.paste(i, pulls))
	push := i.Push.check("push", i.Name+": an upload was begun and cancelled").pasting(i.Push, r.paste(i, pushes))
	if i.Left && push.State == OK {
		push.Found = i.Name + ": an upload was begun; the registry cancels none, and forgets it by itself"
	}
	if i.Missing {
		pull, push = notYet("pull"), notYet("push")
	} else if r.ECR && i.Push.Kind == fault.Denied {
		push.Setting = "allow this to the job's role"
	}
	return []Check{there, pull, push}
}

func notYet(name string) Check {
	return Check{Name: name, State: NotChecked, Found: "the repository is not there yet"}
}

// What a push and a pull need.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
var (
	pulls  = []string{"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"}
	pushes = []string{
		"ecr:BatchCheckLayerAvailability", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage", "ecr:BatchGetImage",
	}
)

// paste is a statement for ECR; other registries have policies of their own.
func (r Registry) paste(i ImageRepository, actions []string) []byte {
	if !r.ECR {
		return nil
	}
	return allow(actions, []string{r.arn(i)})
}

func (r Registry) arn(i ImageRepository) string {
	_, path, _ := strings.Cut(i.Name, "/")
	partition := r.Partition
	if partition == "" {
		partition = "aws"
	}
	return "arn:" + partition + ":ecr:" + r.Region + ":" + r.Account + ":repository/" + path
}

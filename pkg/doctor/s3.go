package doctor

import (
	"gitlab.com/towline/towline/pkg/fault"
)

// S3 is what was found of the environment's bucket.
type S3 struct {
	Skip string

	Bucket    string
	Partition string // of the account: aws, aws-cn
	Prefix    string // of the project, with a slash at its end
	Region    string // of the environment
	Found     string // region that the bucket lies in; "" if it is not told
	There     Answer
	Write     Answer
	Read      Answer
	Remove    Answer
	Left      string // the scratch object, if it could not be removed
}

func (s S3) checks() []Check {
	bucket := s.There.check("bucket", "s3://"+s.Bucket+s.where())
	bucket = bucket.pasting(s.There, allow([]string{"s3:ListBucket"}, []string{s.arn("")}))
	if s.There.Good() && s.Found != "" && s.Found != s.Region {
		bucket = Check{
			Name: "bucket", State: Failed, Found: "s3://" + s.Bucket + " lies in " + s.Found + ", and the environment in " + s.Region,
			Setting: "correct region or bucket of the environment in towline.yaml", Code: fault.Repository,
		}
	}
	all := []Check{bucket}
	for _, power := range []struct {
		name, action string
		answer       Answer
	}{{"write", "s3:PutObject", s.Write}, {"read", "s3:GetObject", s.Read}, {"remove", "s3:DeleteObject", s.Remove}} {
		c := power.answer.check(power.name, "s3://"+s.Bucket+"/"+s.Prefix)
		if power.answer.denied() {
			c.Setting = "allow " + power.action + " to the job's role"
			c.Paste = allow([]string{power.action}, []string{s.arn("/" + s.Prefix + "*")})
		}
		all = append(all, c)
	}
	last := &all[len(all)-1]
	if s.Left != "" && last.State == Failed {
		*last = last.as(Warning) // towline itself removes nothing
		last.Found += "; it is left behind: " + s.Left
		last.Setting = "remove it by hand; to let towline doctor do so, allow s3:DeleteObject to the job's role"
		last.Paste = allow([]string{"s3:DeleteObject"}, []string{s.arn("/" + s.Prefix + ".towline-doctor/*")})
	}
	return all
}

func (s S3) where() string {
	if s.Found == "" {
		return ""
	}
	return ", in " + s.Found
}

func (s S3) arn(path string) string {
	partition := s.Partition
	if partition == "" {
		partition = "aws"
	}
	return "arn:" + partition + ":s3:::" + s.Bucket + path
}

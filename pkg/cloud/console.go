package cloud

import (
	"net/url"
	"strings"
)

// Console gives the pages of AWS's console for what lies in a region.
type Console struct{ Region string }

// host is the console's address in the partition of the region.
func (c Console) host() string {
	switch {
	case strings.HasPrefix(c.Region, "cn-"):
		return "https://" + c.Region + ".console.amazonaws.cn"
	case strings.HasPrefix(c.Region, "us-gov-"):
		return "https://console.amazonaws-us-gov.com"
	}
	return "https://" + c.Region + ".console.aws.amazon.com"
}

func (c Console) page(service, fragment string) string {
	return c.host() + "/" + service + "/home?region=" + url.QueryEscape(c.Region) + "#" + fragment
}

// Training is the page of a training job.
func (c Console) Training(job string) string {
	return c.page("sagemaker", "/jobs/"+url.PathEscape(job))
}

// TrainingLog is the log of a training job.
func (c Console) TrainingLog(job string) string {
	return c.page("cloudwatch", "logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3D"+url.PathEscape(job)+"$252F")
}

// Endpoint is the page of an endpoint, with its metrics.
func (c Console) Endpoint(name string) string {
	return c.page("sagemaker", "/endpoints/"+url.PathEscape(name))
}

// EndpointLog is the log of an endpoint.
func (c Console) EndpointLog(name string) string {
	return c.page("cloudwatch", "logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FEndpoints$252F"+url.PathEscape(name))
}

// Image is the page of an image in ECR; "" of one in another registry.
func (c Console) Image(repository, digest string) string {
	host, path, found := strings.Cut(repository, "/")
	if !found || !IsECR(host) {
		return ""
	}
	account, _, _ := strings.Cut(host, ".")
	return c.host() + "/ecr/repositories/private/" + account + "/" + path + "/_/image/" + digest + "/details?region=" + url.QueryEscape(c.Region)
}

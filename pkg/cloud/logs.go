package cloud

import (
	"context"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"gitlab.com/towline/towline/pkg/fault"
)

const (
	trainingLogs = "/aws/sagemaker/TrainingJobs"
	pagesPerLook = 50
)

// tail hands on the log of one training job, line by line, each line once.
type tail struct {
	cloud  *Cloud
	prefix string             // of the job's streams: <job>/
	next   map[string]*string // where to go on, by stream
	off    bool               // the log may not be read, which is no reason to end a training
}

func (c *Cloud) tail(job string) *tail {
	return &tail{cloud: c, prefix: job + "/", next: map[string]*string{}}
}

// read hands on what has come since the last time.
func (t *tail) read(ctx context.Context) {
	if t.off {
		return
	}
	streams, err := t.cloud.logs().DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{
		LogGroupName: aws.String(trainingLogs), LogStreamNamePrefix: &t.prefix,
	})
	if err != nil {
		t.failed(err)
		return
	}
	for _, stream := range streams.LogStreams {
		if err := t.follow(ctx, aws.ToString(stream.LogStreamName), len(streams.LogStreams) > 1); err != nil {
			t.failed(err)
			return
		}
	}
}

// follow reads one stream to its present end: the token that comes back is then the one sent.
func (t *tail) follow(ctx context.Context, stream string, several bool) error {
	for range pagesPerLook {
		page, err := t.cloud.logs().GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
			LogGroupName: aws.String(trainingLogs), LogStreamName: &stream,
			NextToken: t.next[stream], StartFromHead: aws.Bool(true),
		})
		if err != nil {
			return err
		}
		for _, event := range page.Events {
			t.cloud.log(logLine(t.prefix, stream, several, aws.ToString(event.Message)))
		}
		before := t.next[stream]
		t.next[stream] = page.NextForwardToken
		if page.NextForwardToken == nil || before != nil && *before == *page.NextForwardToken {
			return nil
		}
	}
	return nil
}

// failed gives the log up if it may not be read. Everything else, such as a
// log that is not there yet, is tried again at the next look.
func (t *tail) failed(err error) {
	denied := call{"read the training's log", "logs:GetLogEvents"}.fault(err)
	if fault.KindOf(denied) != fault.Denied {
		return
	}
	t.off = true
	t.cloud.log(denied.Error() + " (" + fault.HintOf(denied) + ")")
}

// logLine is a line without control characters; with several hosts the line says which.
func logLine(prefix, stream string, several bool, message string) string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(message, "\uFFFD"))
	if !several {
		return line
	}
	host := strings.TrimPrefix(stream, prefix) // algo-1-1700000000
	if last := strings.LastIndex(host, "-"); last > 0 {
		host = host[:last]
	}
	return host + ": " + line
}

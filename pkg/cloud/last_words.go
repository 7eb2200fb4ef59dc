package cloud

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

const (
	endpointLogs = "/aws/sagemaker/Endpoints/"
	wordsLimit   = 15 // lines
)

// lastWords are the last lines of the server that an endpoint tried to start
// last. A log that cannot be read has none: what they explain is told anyway.
func (c *Cloud) lastWords(ctx context.Context, endpoint string) []string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	group := endpointLogs + endpoint
	found, err := c.logs().DescribeLogStreams(ctx, &cloudwatchlogs.DescribeLogStreamsInput{
		LogGroupName: &group, OrderBy: types.OrderByLastEventTime, Descending: aws.Bool(true), Limit: aws.Int32(10),
	})
	if err != nil || len(found.LogStreams) == 0 {
		return nil
	}
	newest := slices.MaxFunc(found.LogStreams, func(a, b types.LogStream) int {
		return cmp.Compare(aws.ToInt64(a.CreationTime), aws.ToInt64(b.CreationTime))
	})
	page, err := c.logs().GetLogEvents(ctx, &cloudwatchlogs.GetLogEventsInput{
		LogGroupName: &group, LogStreamName: newest.LogStreamName, Limit: aws.Int32(wordsLimit), StartFromHead: aws.Bool(false),
	})
	if err != nil {
		return nil
	}
	var words []string
	for _, event := range page.Events {
		words = append(words, logLine("", "", false, aws.ToString(event.Message)))
	}
	return slices.Compact(words) // a server that was started again says the same again
}

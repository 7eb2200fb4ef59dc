package lint

import (
	"strings"
	"sync"
)

// trainingFamilies and hostingFamilies are the instance types that SageMaker
// takes for training and for endpoints: a family and its sizes on each line,
// from the model of its API that the AWS SDK carries.
const (
	trainingFamilies = `
c4 xlarge 2xlarge 4xlarge 8xlarge
c5 xlarge 2xlarge 4xlarge 9xlarge 18xlarge
c5n xlarge 2xlarge 4xlarge 9xlarge 18xlarge
c6i xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge
c7i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
c7i-flex xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
c8i xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge
c8i-flex xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
g4dn xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
g5 xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
g6 xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
g6e xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
g7 2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge
g7e 2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge
m4 xlarge 2xlarge 4xlarge 10xlarge 16xlarge
m5 large xlarge 2xlarge 4xlarge 12xlarge 24xlarge
m6i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge
m7i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
m7i-flex large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
m8i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge
m8i-flex large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
p2 xlarge 8xlarge 16xlarge
p3 2xlarge 8xlarge 16xlarge
p3dn 24xlarge
p4d 24xlarge
p4de 24xlarge
p5 4xlarge 48xlarge
p5e 48xlarge
p5en 48xlarge
p6-b200 48xlarge
p6-b300 48xlarge
p6e-gb200 36xlarge
r5 large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge
r5d large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge
r6i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge
r7i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
r8i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge 96xlarge
r8i-flex large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
t3 medium large xlarge 2xlarge
trn1 2xlarge 32xlarge
trn1n 32xlarge
trn2 48xlarge
`
	hostingFamilies = `
c4 large xlarge 2xlarge 4xlarge 8xlarge
c5 large xlarge 2xlarge 4xlarge 9xlarge 18xlarge
c5d large xlarge 2xlarge 4xlarge 9xlarge 18xlarge
c6g large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
c6gd large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
c6gn large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
c6i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge
c6in large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge
c7g large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
c7i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
c8g medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
dl1 24xlarge
g4dn xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
g5 xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
g6 xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
g6e xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
g7 2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge
g7e 2xlarge 4xlarge 8xlarge 12xlarge 24xlarge 48xlarge
inf1 xlarge 2xlarge 6xlarge 24xlarge
inf2 xlarge 8xlarge 24xlarge 48xlarge
m4 xlarge 2xlarge 4xlarge 10xlarge 16xlarge
m5 large xlarge 2xlarge 4xlarge 12xlarge 24xlarge
m5d large xlarge 2xlarge 4xlarge 12xlarge 24xlarge
m6g large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
m6gd large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
m6i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge
m7i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
m8g medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
p2 xlarge 8xlarge 16xlarge
p3 2xlarge 8xlarge 16xlarge
p4d 24xlarge
p4de 24xlarge
p5 4xlarge 48xlarge
p5e 48xlarge
p5en 48xlarge
p6-b200 48xlarge
p6-b300 48xlarge
p6e-gb200 36xlarge
r5 large xlarge 2xlarge 4xlarge 12xlarge 24xlarge
r5d large xlarge 2xlarge 4xlarge 12xlarge 24xlarge
r6g large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
r6gd large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
r6i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge
r7gd medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge
r7i large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
r8g medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge
t2 medium large xlarge 2xlarge
trn1 2xlarge 32xlarge
trn1n 32xlarge
trn2 48xlarge
`
)

// TrainingInstances lists the instance types that a training job may use.
func TrainingInstances() []string { return listInstances(trainingFamilies) }

// HostingInstances lists the instance types that an endpoint may use.
func HostingInstances() []string { return listInstances(hostingFamilies) }

func listInstances(families string) []string {
	var list []string
	for line := range strings.Lines(strings.TrimSpace(families)) {
		words := strings.Fields(line)
		for _, size := range words[1:] {
			list = append(list, "ml."+words[0]+"."+size)
		}
	}
	return list
}

// instanceSet knows types and families.
type instanceSet struct{ types, families map[string]bool }

var (
	trainable = sync.OnceValue(func() instanceSet { return newInstanceSet(TrainingInstances()) })
	hostable  = sync.OnceValue(func() instanceSet { return newInstanceSet(HostingInstances()) })
)

func newInstanceSet(list []string) instanceSet {
	s := instanceSet{map[string]bool{}, map[string]bool{}}
	for _, name := range list {
		s.types[name] = true
		s.families[familyOf(name)] = true
	}
	return s
}

// familyOf is m5 for ml.m5.large.
func familyOf(instance string) string {
	_, rest, _ := strings.Cut(instance, ".")
	family, _, _ := strings.Cut(rest, ".")
	return family
}

// arm says whether instances of a family have Graviton processors, which
// run images for linux/arm64 only: the letter g follows the generation.
func arm(family string) bool {
	i := strings.IndexAny(family, "0123456789")
	return i > 0 && !strings.HasPrefix(family, "g") && strings.Contains(family[i:], "g") && !strings.Contains(family, "-")
}

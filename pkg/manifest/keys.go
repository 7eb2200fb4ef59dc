package manifest

import (
	"time"

	"gopkg.in/yaml.v3"
)

// Key is what one key of the manifest takes, beyond its type. Loader, JSON
// Schema and reference page are all made from it.
type Key struct {
	Default string // as YAML; "" for none
	Whole   bool   // where the key is not there, those below it get no defaults either

	Pattern string   // regular expression that the text, or each text of a list or map, matches
	Takes   string   // the pattern in words
	OneOf   []string // instead of a pattern
	Length  int      // most characters of the text, or of each text of a list or map
	Unique  bool     // no text stands in the list twice

	Names      string // regular expression that the names in a map match
	NameRule   string // it in words
	NameLength int    // most characters of such a name

	Least, Most       int // of a number, or how many entries a list or map has; 0 for no limit
	Shortest, Longest time.Duration
}

// DefaultValue is the default as a value, or nil.
func (k Key) DefaultValue() (value any, err error) {
	err = yaml.Unmarshal([]byte(k.Default), &value)
	return value, err
}

// Texts that appear under several keys.
const (
	// namePattern keeps what is made of names legal everywhere: SageMaker wants
	// letters, digits and hyphens, ECR lower case and single hyphens.
	namePattern = `^[a-z0-9]+(-[a-z0-9]+)*$`
	nameTakes   = "a name of lower-case letters, digits and single hyphens between them, 32 at most"
	nameLength  = 32

	instancePattern = `^ml\.[a-z0-9-]+\.[a-z0-9-]+$`
	instanceTakes   = "a SageMaker instance type such as ml.m5.large"

	rolePattern = `^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}$`
	roleTakes   = "the ARN of a role such as arn:aws:iam::123456789012:role/towline"

	bucketName = `[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]`

	variablePattern = `^[A-Za-z_][A-Za-z0-9_]{0,511}$`
	variableTakes   = "a name of letters, digits and underscores that does not begin with a digit"

	tagCharacters = `[\p{L}\p{Z}\p{N}_.:/=+@-]`

	wordPattern = `^[^\x00]*$`
	wordTakes   = "text without NUL characters"
)

// AWS takes so many; the rest are Towline's own.
const (
	mostVariables = 100 - 5 // TOWLINE_PROJECT, _MODEL, _VERSION, _IDENTITY and _TRAINING_DATA
	mostTags      = 50 - 4  // towline:project, :model, :version and :identity
)

// Keys gives the limits of every key that has any, by its name in full, such
// as models[].train.count; [] stands for any item and * for any name.
func Keys() map[string]Key {
	keys := map[string]Key{
		"apiVersion": {OneOf: []string{APIVersion}},
		"project":    {Pattern: namePattern, Takes: nameTakes, Length: nameLength},
		"models":     {Least: 1, Most: 1000},
		"linked":     {Most: 100},
		"linked[]":   {Least: 2, Most: 100, Unique: true, Pattern: namePattern, Takes: nameTakes, Length: nameLength},

		"environments": {Names: namePattern, NameRule: nameTakes, NameLength: nameLength},
	}
	for prefix, group := range map[string]map[string]Key{
		"models[].":          modelKeys(),
		"models[].version.":  versionKeys(),
		"models[].train.":    trainKeys(),
		"models[].evaluate.": evaluateKeys(),
		"models[].serve.":    serveKeys(),
		"environments.*.":    environmentKeys(),
		"lint.":              lintKeys(),
	} {
		for name, key := range group {
			keys[prefix+name] = key
		}
	}
	return keys
}

func modelKeys() map[string]Key {
	return map[string]Key{
		"name":   {Pattern: namePattern, Takes: nameTakes, Length: nameLength},
		"path":   {Default: ".", Length: 512},
		"shared": {Unique: true, Length: 512},
		"owners": {
			Most: 20, Unique: true, Length: 254, Pattern: `^([^\s@]+@[^\s@]+|@[A-Za-z0-9_./-]+)$`,
			Takes: "an address such as team@example.com, or a name such as @group/team",
		},
		"test":  {Least: 1, Pattern: wordPattern, Takes: wordTakes},
		"train": {Whole: true},
		"image.base": {
			Pattern: `^[A-Za-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?$`, Length: 512,
			Takes: "an image reference such as docker.io/library/python:3.11-slim, or scratch",
		},
		"image.platforms": {
			Default: "[linux/amd64]", Least: 1, Unique: true,
			Pattern: `^linux/(386|amd64|arm|arm64|ppc64le|riscv64|s390x)(/v[5-9])?$`,
			Takes:   "a platform such as linux/amd64 or linux/arm64",
		},
		"image.python": {
			Default: `"3.11"`,
			OneOf:   []string{"3.9", "3.10", "3.11", "3.12", "3.13", "3.14"},
		},
		"image.requirements": {Length: 512},
		"image.programs": {
			Most: 10, Unique: true, Length: 256, Pattern: `^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`,
			Takes: "a folder of the model such as bin, of letters, digits, dots, hyphens and underscores",
		},
		"image.environment": {
			Most: 100, Length: 4096, Names: variablePattern, NameRule: variableTakes,
			Pattern: wordPattern, Takes: wordTakes,
		},
		"image.user": {
			Pattern: `^[1-9][0-9]{0,8}(:(0|[1-9][0-9]{0,8}))?$`,
			Takes:   "a number such as 1000, or two such as 1000:1000; a name means nothing to an image that is not unpacked",
		},

		"image.repository.immutable": {Default: "true"},
		"image.repository.scan":      {Default: "true"},
		"image.repository.keep":      {Least: 10, Most: 10000},
	}
}

func versionKeys() map[string]Key {
	return map[string]Key{
		"initial": {
			Default: "0.1.0", Length: 64,
			Pattern: `^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`,
			Takes:   "a version of three numbers such as 0.1.0",
		},
		"exclude": {Unique: true, Length: 512},
		"bumps": {
			Most:     100,
			Names:    `^[a-z][a-z0-9_-]{0,31}$`,
			NameRule: "a type of commits: lower-case letters, digits, hyphens and underscores, 32 at most",
			OneOf:    []string{"major", "minor", "patch", "none"},
		},
		"always": {Default: "none", OneOf: []string{"none", "patch"}},
	}
}

func trainKeys() map[string]Key {
	return map[string]Key{
		"command": {Least: 1, Pattern: wordPattern, Takes: wordTakes},
		"channels": {
			Most:     20,
			Length:   1024,
			Names:    `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`,
			NameRule: "a name of letters, digits, dots, hyphens and underscores, 64 at most",
		},
		"hyperparameters": {
			Most: 100, Length: 2500,
			Names:    `^[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}$`,
			NameRule: "a name of letters, digits, dots, hyphens and underscores, 256 at most",
			Pattern:  wordPattern, Takes: wordTakes,
		},
		"environment": {
			Most: mostVariables, Length: 512, Names: variablePattern, NameRule: variableTakes,
			Pattern: wordPattern, Takes: wordTakes,
		},
		"instance":    {Default: "ml.m5.large", Pattern: instancePattern, Takes: instanceTakes},
		"count":       {Default: "1", Least: 1, Most: 1000},
		"volume_gb":   {Default: "30", Least: 1, Most: 16384},
		"max_runtime": {Default: "24h", Shortest: time.Second, Longest: 28 * 24 * time.Hour},
	}
}

func evaluateKeys() map[string]Key {
	return map[string]Key{
		"file":     {Default: "evaluation.json", Length: 512},
		"channel":  {Length: 64},
		"command":  {Least: 1, Pattern: wordPattern, Takes: wordTakes},
		"champion": {Default: ChampionAgain, OneOf: []string{ChampionAgain, ChampionRecorded}},
		"gate[].metric": {
			Pattern: `^[^\s\x00-\x1f]([^\x00-\x1f]*[^\s\x00-\x1f])?$`, Length: 128,
			Takes: "the name of a metric, on one line",
		},
		"gate[].better": {OneOf: []string{"higher", "lower"}},
	}
}

func serveKeys() map[string]Key {
	return map[string]Key{
		"command":  {Least: 1, Pattern: wordPattern, Takes: wordTakes},
		"instance": {Default: "ml.m5.large", Pattern: instancePattern, Takes: instanceTakes},
		"count":    {Default: "1", Least: 1, Most: 1000},
		"environment": {
			Most: mostVariables, Length: 1024, Names: variablePattern, NameRule: variableTakes,
			Pattern: wordPattern, Takes: wordTakes,
		},
		"startup":     {Default: "8m", Shortest: time.Minute, Longest: time.Hour},
		"sample.file": {Length: 512},
		"sample.content_type": {
			Default: "application/json", Length: 128,
			Pattern: `^[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(; ?[A-Za-z0-9-]+=[A-Za-z0-9.+-]+)*$`,
			Takes:   "a media type such as application/json or text/csv",
		},
	}
}

func environmentKeys() map[string]Key {
	return map[string]Key{
		"region": {
			Pattern: `^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$`, Length: 32,
			Takes: "an AWS region such as eu-west-1",
		},
		"role":           {Pattern: rolePattern, Takes: roleTakes},
		"entry_role":     {Pattern: rolePattern, Takes: roleTakes},
		"session_tags":   {Default: "false"},
		"execution_role": {Pattern: rolePattern, Takes: roleTakes},
		"bucket": {
			Pattern: `^` + bucketName + `$`,
			Takes:   "the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens, without s3://",
		},
		"endpoint": {
			Pattern: `^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$`, Length: 512,
			Takes: "an address such as https://minio.example.com:9000",
		},
		"registry": {
			Pattern: `^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-][a-z0-9]+)*)*$`, Length: 255,
			Takes: "a host and perhaps a path, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com, without https://",
		},
		"vpc.subnets": {
			Least: 1, Most: 16, Unique: true, Pattern: `^subnet-[0-9a-zA-Z]{1,32}$`,
			Takes: "the ID of a subnet such as subnet-0a1b2c3d",
		},
		"vpc.security_groups": {
			Least: 1, Most: 5, Unique: true, Pattern: `^sg-[0-9a-zA-Z]{1,32}$`,
			Takes: "the ID of a security group such as sg-0a1b2c3d",
		},
		"kms_key": {
			Pattern: `^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+|alias/[A-Za-z0-9/_-]+|[A-Za-z0-9-]{1,64})$`,
			Length:  2048,
			Takes:   "a KMS key: its ARN, its ID, or alias/ and its alias",
		},
		"tags": {
			Most: mostTags, Length: 256,
			Names:    `^` + tagCharacters + `{1,128}$`,
			NameRule: "letters, digits, spaces and _ . : / = + - @, 128 at most",
			Pattern:  `^` + tagCharacters + `*$`, Takes: "letters, digits, spaces and _ . : / = + - @",
		},
	}
}

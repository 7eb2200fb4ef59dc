package sagemaker

// Unpack is what the fuzzer of archives needs.
var Unpack = unpack

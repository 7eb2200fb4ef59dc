package python_test

import (
	"fmt"

	"gitlab.com/towline/towline/pkg/lint/python"
)

// What rules ask of a file: calls by the name that is imported, arguments with
// literal values, and where they stand.
func Example() {
	f := python.Parse([]byte(`
import os
import numpy as np
from sklearn.model_selection import train_test_split as split

def train(data, target, depth=6):
    np.random.seed(42)
    parts = split(data, target, test_size=0.2)
    channel = os.environ["SM_CHANNEL_TRAIN"]
    try:
        fit(parts, f"/opt/ml/{channel}/x.csv")
    except Exception:
        pass
`))
	for _, call := range f.Calls {
		line, column := f.Position(call.Start)
		seed, _ := f.Int(call.Pos(0))
		share, _ := f.Float(call.Arg("test_size"))
		fmt.Println(line, column, call.Name, seed, share)
	}
	for e := range f.All(python.ExprSubscript) {
		key, _ := f.String(f.Right(e))
		fmt.Println(f.Name(e), key)
	}
	for _, s := range f.Strings {
		if s.Format() {
			fmt.Println(f.Value(s))
		}
	}
	for _, h := range f.Handlers {
		body := f.Body(h.Stmt)
		fmt.Println(f.Source(h.Type), len(body) == 1 && f.Stmts[body[0]].Kind == python.StmtPass)
	}
	fn := f.Functions[0]
	fmt.Println(fn.Name, fn.Params[2].Name, f.Source(fn.Params[2].Default), f.Error == nil)
	// Output:
	// 7 4 numpy.random.seed 42 0
	// 8 12 sklearn.model_selection.train_test_split 0 0.2
	// 11 8 fit 0 0
	// os.environ[] SM_CHANNEL_TRAIN
	// /opt/ml/{}/x.csv
	// Exception true
	// train depth 6 true
}

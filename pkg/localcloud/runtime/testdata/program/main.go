// Command program is what the tests run in containers: a static binary that
// needs nothing of an image.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(64)
	}
	switch os.Args[1] {
	case "look":
		look()
	case "heed":
		heed()
	case "ignore":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		time.Sleep(time.Minute)
	case "serve":
		serve()
	case "end":
		os.Exit(77)
	}
}

// look tells what the program finds, and writes to where it may.
func look() {
	host, err := os.Hostname()
	dir, err2 := os.Getwd()
	in, err3 := os.ReadFile("/opt/ml/in")
	fmt.Println(host, dir, os.Getuid(), os.Getpid(), string(in), errors.Join(err, err2, err3))
	fmt.Println(strings.Join(os.Environ(), " "))
	for _, path := range []string{"/opt/ml/out", "/opt/program/new", "/opt/program/data", "/etc/new", "/root/new", "/tmp/new", "/dev/shm/new"} {
		_ = os.MkdirAll(path[:strings.LastIndex(path, "/")], 0o755)
		if err := os.WriteFile(path, []byte("written"), 0o644); err != nil {
			fmt.Println("could not write:", err)
		}
	}
	fmt.Fprintln(os.Stderr, "to stderr")
	os.Exit(3)
}

// heed ends when it is told to, by a code of its own.
func heed() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	fmt.Println("ready")
	<-told
	fmt.Println("told")
	os.Exit(5)
}

// serve answers /ping as SageMaker wants it.
func serve() {
	listener, err := net.Listen("tcp", "0.0.0.0:"+os.Getenv("SAGEMAKER_BIND_TO_PORT"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	go func() { <-told; os.Exit(0) }()
	_ = http.Serve(listener, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

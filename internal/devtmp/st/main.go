package main

import (
	"context"
	"os"

	"mediad/internal/stamp"
)

func main() {
	stamp.Publish(context.Background(), stamp.Options{Output: []string{"-f", "flv", os.Args[1]}}, os.Stderr)
}

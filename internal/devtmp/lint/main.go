package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"mediad/packager/hlslint"
)

func main() {
	r, err := hlslint.Run(context.Background(), hlslint.Options{URL: os.Args[1], Duration: 20 * time.Second, Strict: true})
	fmt.Println(err)
	r.WriteText(os.Stdout)
}

// Command gatehouse is an edge gateway that its own memory cannot take down, and that tells which process will be taken
// down by its memory, when and why.
package main

import (
	"context"
	"os"

	"gatehouse/internal/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), cli.OS()))
}

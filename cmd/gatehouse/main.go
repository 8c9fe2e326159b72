// Command gatehouse is an edge gateway that its own memory cannot take down.
package main

func main() {}

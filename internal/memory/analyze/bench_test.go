package analyze

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writeLarge writes a log of 6,000 counters: 28 of each of 209 processes, three to a name, and of a service.
func writeLarge(b *testing.B, path string, rows int) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	counters := []string{"ID Process", "Elapsed Time", "Private Bytes", "Virtual Bytes", "Working Set", "Working Set - Private", "% Processor Time"}
	for i := len(counters); i < 28; i++ {
		counters = append(counters, fmt.Sprintf("Other %d/sec", i))
	}
	const processes, services = 209, 6000 - 209*28
	fmt.Fprint(w, `"(PDH-CSV 4.0) (GMT Standard Time)(0)"`)
	for _, c := range counters {
		for p := range processes {
			number := ""
			if p%3 > 0 {
				number = fmt.Sprintf("#%d", p%3)
			}
			fmt.Fprintf(w, `,"\\BIG\Process(p%d%s)\%s"`, p/3, number, c)
		}
	}
	for s := range services {
		fmt.Fprintf(w, `,"\\BIG\Service(s%d)\Requests/sec"`, s)
	}
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for row := range rows {
		fmt.Fprintf(w, "\r\n\"%s\"", start.Add(time.Duration(row)*5*time.Minute).Format("01/02/2006 15:04:05.000"))
		for c := range counters {
			for p := range processes {
				noise := (row*7919 + p*104729 + c*31) % 4096
				switch c {
				case 0:
					fmt.Fprintf(w, `,"%d"`, 1000+4*p)
				case 1:
					fmt.Fprintf(w, `,"%d.1234567"`, 100000+row*300+p)
				case 2, 3, 4, 5:
					fmt.Fprintf(w, `,"%d"`, 4096*(10000+p*50+noise%16+row*(p%20/19)))
				default:
					fmt.Fprintf(w, `,"%d.%017d"`, noise%100, noise*977)
				}
			}
		}
		for s := range services {
			fmt.Fprintf(w, `,"%d.5"`, (row+s)%50)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLargeLog analyzes 6,000 counters by 1,000 rows, which must take less than 2 s and 200 MB.
func BenchmarkLargeLog(b *testing.B) {
	path := filepath.Join(b.TempDir(), "large.csv")
	writeLarge(b, path, 1000)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		report, err := Files(context.Background(), []string{path}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if len(report.Findings) != 209 {
			b.Fatalf("%d findings", len(report.Findings))
		}
	}
}

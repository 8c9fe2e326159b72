package watch

import (
	"gatehouse/internal/memory/procmem"
	"gatehouse/internal/memory/series"
)

// Labels of the stored series.
const (
	labelProcess  = "process"
	labelPID      = "pid"
	labelStart    = "start" // procmem.Process.Key: tells processes apart that had the same pid
	labelWorker   = "worker"
	labelActivity = "activity"
)

// metricActivity is the name of the activity counters.
const metricActivity = "gatehouse_activity_total"

// metric is the name under which a counter is stored.
func metric(c procmem.Counter) string {
	name := "gatehouse_process_" + c.String()
	switch {
	case c.Memory():
		return name + "_bytes"
	case cumulative(c):
		return name + "_total"
	}
	return name
}

func cumulative(c procmem.Counter) bool {
	switch c {
	case procmem.CPUSeconds, procmem.CgroupOOMKills, procmem.CgroupHighEvents, procmem.CgroupMaxEvents:
		return true
	}
	return false
}

// Metadata describes the stored metrics, for series.Options.
func Metadata() map[string]series.Metadata {
	all := map[string]series.Metadata{metricActivity: {Type: "counter", Help: "Activity of gatehouse, by kind."}}
	for _, c := range procmem.All() {
		m := series.Metadata{Type: "gauge", Help: help(c)}
		if cumulative(c) {
			m.Type = "counter"
		}
		if c.Memory() {
			m.Unit = "bytes"
		}
		all[metric(c)] = m
	}
	return all
}

func help(c procmem.Counter) string {
	switch c {
	case procmem.RSS:
		return "Resident memory of a watched process."
	case procmem.PSS:
		return "Resident and swapped memory with shared pages divided among their holders."
	case procmem.Private:
		return "Memory that only this process holds and no file backs, swapped-out memory included."
	case procmem.Virtual:
		return "Address space."
	case procmem.Swap:
		return "Swapped-out memory."
	case procmem.Threads:
		return "Threads."
	case procmem.FDs:
		return "Open descriptors; handles on Windows."
	case procmem.CPUSeconds:
		return "Processor time used."
	case procmem.HeapInUse:
		return "Go heap that holds objects."
	case procmem.HeapReleased:
		return "Go heap returned to the system."
	case procmem.Goroutines:
		return "Goroutines."
	case procmem.CgroupCurrent:
		return "Memory charged to the process' control group."
	case procmem.CgroupLimit:
		return "Lowest memory limit from the control group to the root."
	case procmem.CgroupSwap:
		return "Swap charged to the control group."
	case procmem.CgroupOOMKills:
		return "Processes of the control group killed for want of memory."
	case procmem.CgroupHighEvents:
		return "Times the control group was throttled at memory.high."
	case procmem.CgroupMaxEvents:
		return "Times the control group met its limit."
	}
	return ""
}

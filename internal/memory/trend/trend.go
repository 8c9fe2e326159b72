// Package trend gives the memory verdict: pure functions that say from series of samples whether a process leaks, how
// fast, since when and until when.
//
// The way from samples to a Finding, one file a step:
//
//	floor.go       samples into windows; the 10 % quantile of a window is its floor
//	restart.go     where a new process took over; levels before and after are not compared
//	drive.go       running sums of the loads: a leak at each event grows in step with one
//	load.go        loads and the day's cycle as continuous regressors, chosen by BIC
//	step.go        at most two one-off steps are regressors and reported; more stay in as a leak in batches
//	warmup.go      the shape of growth: line, late, bent, beneath a warm-up; or warm-up, ramp, logarithm, none
//	perronyabu.go  the trend test that holds when the noise is near a random walk
//	growth.go      the rules: trend, size, shape, persistence, given back
//	class.go       leak, fragmentation, retention, warm-up, load, step, stable, inconclusive
//	forecast.go    rate with interval, date of the limit, what could be detected, how many days more
//	drivers.go     the load that the growth goes with, where one can be told
//	confidence.go  the probability that the verdict is right
//
// Everything is one linear regression on the floors with autoregressive errors: an intercept for each process, then
// loads, season, steps and a shape. Regressors are chosen by BIC under AR(1) errors, because slow noise would buy any
// of them otherwise; the growth at the end is then tested by Perron and Yabu's procedure, in which the parameters that
// were searched for (a bend, a time constant) take part through their derivatives.
//
// Workload levels are not clustered, and no trend is tested within such clusters; load enters continuously.
package trend

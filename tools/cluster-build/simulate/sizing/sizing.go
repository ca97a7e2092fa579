package sizing

import (
	"container/heap"
	"errors"
	"time"
)

// Costs are what an action costs beside its execution.
type Costs struct {
	Action    time.Duration // scheduling, and laying out its inputs
	Bandwidth float64       // bytes a second between a worker and the store; 0 is no limit
}

// A Result is how a build went on a number of workers.
type Result struct {
	Workers int
	Length  time.Duration
	Busy    float64 // part of the workers' time in which they ran or fetched
	Fetched int64   // bytes that workers read from the store: each blob once for each worker that needs it
}

// ErrCycle means that the log is not of one build.
var ErrCycle = errors.New("actions that need each other: the log is not of one build")

// CriticalPath is how long the build takes when there is no end of workers.
func (b *Build) CriticalPath(c Costs) (time.Duration, error) {
	r, err := b.run(len(b.Actions), c, false)
	return r.Length, err
}

// Run gives each action, once all that it needs is there, to an idle worker: who waits longest comes first. A worker keeps
// what it has fetched.
func (b *Build) Run(workers int, c Costs) (Result, error) { return b.run(workers, c, true) }

func (b *Build) run(workers int, c Costs, fetch bool) (Result, error) {
	result := Result{Workers: workers}
	if len(b.Actions) == 0 {
		return result, errors.New("the log has no action")
	}
	waits := make([]int, len(b.Actions)) // for so many actions
	unblocks := make([][]int32, len(b.Actions))
	var ready []int32
	for i, a := range b.Actions {
		if waits[i] = len(a.Needs); waits[i] == 0 {
			ready = append(ready, int32(i))
		}
		for _, need := range a.Needs {
			unblocks[need] = append(unblocks[need], int32(i))
		}
	}
	has := make([]map[int32]bool, workers)
	idle := make([]int, workers)
	for i := range idle {
		has[i], idle[i] = map[int32]bool{}, workers-1-i
	}
	transfer := func(bytes int64) time.Duration {
		if c.Bandwidth == 0 {
			return 0
		}
		return time.Duration(float64(bytes) / c.Bandwidth * float64(time.Second))
	}

	var now, busy time.Duration
	var running events
	done := 0
	for len(ready) > 0 || len(running) > 0 {
		for len(ready) > 0 && len(idle) > 0 {
			action, worker := ready[0], idle[len(idle)-1]
			ready, idle = ready[1:], idle[:len(idle)-1]
			var bytes int64
			if fetch {
				for _, blob := range b.Actions[action].Inputs {
					if !has[worker][blob] {
						has[worker][blob] = true
						bytes += b.Blobs[blob]
					}
				}
				result.Fetched += bytes
				for _, blob := range b.Actions[action].Outputs {
					bytes += b.Blobs[blob]
				}
			}
			length := c.Action + transfer(bytes) + b.Actions[action].Duration
			busy += length
			heap.Push(&running, event{at: now + length, action: action, worker: worker})
		}
		e := heap.Pop(&running).(event)
		now = e.at
		done++
		idle = append(idle, e.worker)
		for _, next := range unblocks[e.action] {
			if waits[next]--; waits[next] == 0 {
				ready = append(ready, next)
			}
		}
	}
	if done != len(b.Actions) {
		return result, ErrCycle
	}
	result.Length = now
	if now > 0 {
		result.Busy = busy.Seconds() / (now.Seconds() * float64(workers))
	}
	return result, nil
}

// Work is what all actions took, one after the other.
func (b *Build) Work() (sum time.Duration) {
	for _, a := range b.Actions {
		sum += a.Duration
	}
	return sum
}

// Bytes are the sizes of what actions made, and of what they read that no action made, each content once.
func (b *Build) Bytes() (sources, made int64) {
	seen := make([]bool, len(b.Blobs))
	sum := func(blobs []int32) (bytes int64) {
		for _, blob := range blobs {
			if !seen[blob] {
				seen[blob] = true
				bytes += b.Blobs[blob]
			}
		}
		return bytes
	}
	for _, a := range b.Actions {
		made += sum(a.Outputs)
	}
	for _, a := range b.Actions {
		sources += sum(a.Inputs)
	}
	return sources, made
}

// events is a heap, the next one first.
type events []event

type event struct {
	at     time.Duration
	action int32
	worker int
}

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if e[i].at != e[j].at {
		return e[i].at < e[j].at
	}
	return e[i].action < e[j].action
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

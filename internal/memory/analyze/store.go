package analyze

import (
	"math"
	"time"
)

// maxValues is how many values are held of all logs together: 192 MB.
const maxValues = 24 << 20

// blockRows is how many rows a block of the store holds.
const blockRows = 256

// store holds the wanted columns of a log, row by row. When it is full it drops every second row and from then on takes only
// every second one that it is offered, and so on, so that it never holds more than maxRows.
type store struct {
	width   int
	maxRows int
	times   []int64 // Unix nanoseconds
	blocks  [][]float64
	stride  int // one of how many offered rows is taken
	offered int
}

func newStore(width, maxValues int) *store {
	return &store{width: width, maxRows: max(maxValues/max(width, 1), 2*blockRows), stride: 1}
}

// add offers a row.
func (s *store) add(at time.Time, row []float64) {
	take := s.offered%s.stride == 0
	s.offered++
	if !take {
		return
	}
	if len(s.times) >= s.maxRows {
		s.halve()
		if (s.offered-1)%s.stride != 0 {
			return
		}
	}
	i := len(s.times)
	s.times = append(s.times, at.UnixNano())
	if i/blockRows == len(s.blocks) {
		s.blocks = append(s.blocks, make([]float64, blockRows*s.width))
	}
	copy(s.at(i), row)
}

// at returns a row; it is the store's own.
func (s *store) at(row int) []float64 {
	from := row % blockRows * s.width
	return s.blocks[row/blockRows][from : from+s.width]
}

// value returns a cell, NaN for a column below 0, which stands for one that the log does not have.
func (s *store) value(row, column int) float64 {
	if column < 0 {
		return math.NaN()
	}
	return s.blocks[row/blockRows][row%blockRows*s.width+column]
}

func (s *store) halve() {
	n := 0
	for i := 0; i < len(s.times); i += 2 {
		s.times[n] = s.times[i]
		copy(s.at(n), s.at(i))
		n++
	}
	s.times = s.times[:n]
	s.blocks = s.blocks[:(n+blockRows-1)/blockRows]
	s.stride *= 2
}

// remove drops the rows for which drop is true.
func (s *store) remove(drop []bool) {
	n := 0
	for i := range s.times {
		if drop[i] {
			continue
		}
		if n != i {
			s.times[n] = s.times[i]
			copy(s.at(n), s.at(i))
		}
		n++
	}
	s.times = s.times[:n]
}

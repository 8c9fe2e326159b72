package procmem

import "testing"

func TestSelector(t *testing.T) {
	p := &Process{
		PID: 42, Comm: "a-very-long-nam", Exe: "/opt/shop/a-very-long-name (deleted)", Command: "/opt/shop/a-very-long-name --port 80",
		Cgroup: Cgroup{Unit: "/system.slice/shop.service/worker", Memory: "/pods/a/b"},
	}
	for _, row := range []struct {
		name string
		q    Query
		want bool
	}{
		{"pid", Query{PID: 42}, true},
		{"other pid", Query{PID: 43}, false},
		{"comm", Query{Process: "a-very-long-nam"}, true},
		{"program's file, replaced since", Query{Process: "a-very-long-name"}, true},
		{"part of a name", Query{Process: "a-very"}, false},
		{"command", Query{Command: `--port 80$`}, true},
		{"other command", Query{Command: `^--port`}, false},
		{"unit", Query{Unit: "shop.service"}, true},
		{"unit without suffix", Query{Unit: "shop"}, true},
		{"part of a unit", Query{Unit: "op.service"}, false},
		{"slice", Query{Unit: "system.slice"}, true},
		{"cgroup", Query{Cgroup: "/pods/a/b"}, true},
		{"cgroup above", Query{Cgroup: "pods/a"}, true},
		{"cgroup beside", Query{Cgroup: "/pods/a/bc"}, false},
		{"part of a group's name", Query{Cgroup: "/pods/a/"}, true},
	} {
		s, err := Compile(row.q)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if got := s.Match(p); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, q := range map[string]Query{
		"nothing": {}, "two": {PID: 1, Process: "x"}, "bad expression": {Command: "("}, "negative pid": {PID: -1},
	} {
		if _, err := Compile(q); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// A process that no group is known of is in none.
	s, err := Compile(Query{Cgroup: "/"})
	if err != nil || s.Match(&Process{PID: 1}) {
		t.Errorf("matched a process without a group: %v", err)
	}
}

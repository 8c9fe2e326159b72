package state

// GroupStatus is a verifier group at one moment: what ISA's dashboard showed as one tile.
type GroupStatus struct {
	Group     Group         `json:"group"`
	State     State         `json:"state"`     // the worst state of its verifiers; unknown when it has none
	Verifiers int           `json:"verifiers"` // how many there are
	States    map[State]int `json:"states"`    // how many of them are in each state; states of none are absent
}

// RollUp sums verifiers up by group: one entry for each of Groups, in that order and also where it has no verifier, and
// after them the groups that are not among the words, in the order of their first verifier.
func RollUp(verifiers []Status) []GroupStatus {
	known := Groups()
	groups := make([]GroupStatus, 0, len(known))
	index := make(map[Group]int, len(known))
	add := func(g Group) {
		index[g] = len(groups)
		groups = append(groups, GroupStatus{Group: g, State: Unknown, States: map[State]int{}})
	}
	for _, g := range known {
		add(g)
	}
	for _, v := range verifiers {
		if _, ok := index[v.Group]; !ok {
			add(v.Group)
		}
		g := &groups[index[v.Group]]
		if g.Verifiers == 0 {
			g.State = v.State
		}
		g.State = Worst(g.State, v.State)
		g.Verifiers++
		g.States[v.State]++
	}
	return groups
}

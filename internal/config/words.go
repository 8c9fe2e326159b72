package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// describe says what a node is, short enough for a message.
func describe(n *node) string {
	switch n.kind {
	case boolean, integer, float:
		return n.kind.String() + " (" + clip(n.text) + ")"
	case text:
		return fmt.Sprintf("%q", clip(n.text))
	default:
		return n.kind.String()
	}
}

// clip shortens what a file holds for a message.
func clip(s string) string {
	const limit = 60
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

// alternatives is "a, b or c".
func alternatives(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// unknownKey is the message for a key that the struct does not have.
func unknownKey(key string, known []Key) string {
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.Name
	}
	if hint := didYouMean(key, names); hint != "" {
		return "unknown key" + hint
	}
	return "unknown key: want " + alternatives(names)
}

// didYouMean names the word that was probably meant, as the end of a message; it is empty when none is near.
func didYouMean(word string, known []string) string {
	best, bestDistance := "", 1+max(1, utf8.RuneCountInString(word)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of letters to insert, delete, replace or swap with their neighbour (optimal string alignment)
// to make b of a. Words of more than 64 bytes are at their own length from everything.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

package main

import (
	"math/rand/v2"
	"strings"
)

// obj and list are JSON trees. Generating trees instead of typed objects lets
// nulls, empty objects, unknown keys and wrong types appear as easily as values.
type (
	obj  = map[string]any
	list = []any
)

// gen draws everything random from one seeded source of a fixed algorithm, so
// that a seed and an item number name the same item on every machine. The test
// over the frozen data would notice if a Go release changed that.
type gen struct{ *rand.Rand }

func newGen(seed, item uint64) gen {
	return gen{rand.New(rand.NewPCG(seed, item))}
}

// chance is true in percent of 100 calls.
func (g gen) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g gen, from []T) T { return from[g.IntN(len(from))] }

// put sets m[key] to a drawn value in percent of 100 calls.
func (g gen) put(m obj, percent int, key string, draw func(gen) any) {
	if g.chance(percent) {
		m[key] = draw(g)
	}
}

// among makes a drawing function for a fixed set of values. Each draw is a copy,
// since mutations write into the trees they are given.
func among(values ...any) func(gen) any {
	return func(g gen) any { return clone(pick(g, values)) }
}

// some draws between lo and hi values.
func (g gen) some(lo, hi int, draw func(gen) any) list {
	out := list{}
	for range lo + g.IntN(hi-lo+1) {
		out = append(out, draw(g))
	}
	return out
}

// oddTexts are the texts whose quoting, sorting or escaping differs between
// languages: quotes, control characters, format characters, line separators,
// private use, combining marks and characters outside the basic plane.
var oddTexts = []string{
	``, ` `, `"`, `\`, `we"b`, `back\slash`, `a'b`, "tab\t", "nl\n", "cr\r", "bell\a",
	"\x00", "\x01", "\x1f", "\x7f", "\u0080", "\u0085", "\u00a0", "soft\u00adhyphen", "é", "e\u0301",
	"\u2028", "\u2029", "\u200b", "\u200d", "\u202e", "\u3000", "\ufeff", "\ufffd", "\ufffe",
	"\ue000", "\U000f0000", "😀", "👩\u200d💻", "\U000e0001", "\U0010ffff", "日本", "ß", "İ",
	"<b>&amp;", "a, b", "a\" and \"b", "(x)", "%s", "%!d", "{}", "null", "ﬀ", "Z", "z", "~",
}

// oddText is mostly a listed odd text, now and then a string of random runes,
// so that the whole table of printable characters is exercised over time.
func oddText(g gen) string {
	if g.chance(70) {
		return pick(g, oddTexts)
	}
	var b strings.Builder
	for range 1 + g.IntN(4) {
		b.WriteRune(randomRune(g))
	}
	return b.String()
}

// randomRune avoids surrogates, which no JSON text of the API server holds.
func randomRune(g gen) rune {
	var r rune
	switch g.IntN(5) {
	case 0:
		r = rune(g.IntN(0x100))
	case 1:
		r = rune(g.IntN(0x3000))
	case 2, 3:
		r = rune(g.IntN(0x20000))
	default:
		r = rune(g.IntN(0x110000))
	}
	if r >= 0xd800 && r <= 0xdfff {
		r -= 0xd800 - 0x20
	}
	return r
}

// clone copies a tree, so that the old and new object of an update can differ.
func clone(v any) any {
	switch t := v.(type) {
	case obj:
		out := make(obj, len(t))
		for k, e := range t {
			out[k] = clone(e)
		}
		return out
	case list:
		out := make(list, len(t))
		for i, e := range t {
			out[i] = clone(e)
		}
		return out
	default:
		return v
	}
}

// child returns the object at key, making it when it is not one.
func child(m obj, key string) obj {
	if o, ok := m[key].(obj); ok {
		return o
	}
	o := obj{}
	m[key] = o
	return o
}

// setAt sets a value deep in a tree, making objects on the way. The key "0"
// means the first element of a list.
func setAt(m obj, value any, path ...string) {
	for i, key := range path {
		if i == len(path)-1 {
			m[key] = value
			return
		}
		if path[i+1] == "0" {
			first := obj{}
			if l, ok := m[key].(list); ok && len(l) > 0 {
				if o, ok := l[0].(obj); ok {
					first = o
				}
				l[0] = first
			} else {
				m[key] = list{first}
			}
			if i+2 == len(path) {
				m[key].(list)[0] = value
				return
			}
			setAt(first, value, path[i+2:]...)
			return
		}
		m = child(m, key)
	}
}

package providertest

import (
	"fmt"
	"slices"
	"strings"
)

// HostileHosts are texts that somebody may give for a host to have a token sent elsewhere than to a registry below the suffix, each a
// variation of <name>.<suffix>. None of them is such a host. Some are hosts of another kind, which their owner may have.
func HostileHosts(name, suffix string) []string {
	good := name + "." + suffix
	const evil = "evil.example"
	hosts := []string{
		// Nothing, and too much.
		"", " ", ".", "..", "-", ":", "/", "@", "*", good + "," + evil, good + " " + evil, good + ";" + evil, good + "|" + evil,
		strings.Repeat("a", 64) + "." + suffix, strings.Repeat("a.", 128) + suffix, strings.Repeat("a", 1<<16),
		// Suffix tricks.
		suffix, "." + suffix, name + suffix, name + "-" + suffix, good + "." + evil, good + evil, good + "-" + evil, "not" + suffix,
		evil + "." + name + "." + suffix, name + "." + suffix + ".", name + ".." + suffix, "." + good, ".." + good, good + "..", good + ". ",
		strings.Replace(good, ".", "-", 1), strings.ReplaceAll(good, ".", ""), strings.ReplaceAll(good, ".", "x"),
		name + ".x" + suffix, name + "." + suffix + "x", name + "." + suffix[1:], name + "." + suffix[:len(suffix)-1],
		name + "." + suffix + "." + suffix + ".x", name + "." + strings.ReplaceAll(suffix, ".", "..") + ".", evil, "localhost", "evil",
		// User information, before and after.
		good + "@" + evil, evil + "@" + good, good + ":443@" + evil, good + ":x@" + evil, "user@" + good, "user:password@" + good, "@" + good,
		good + "@", good + "%40" + evil, good + "\\@" + evil, evil + "\\@" + good, good + "@" + evil + ":443", good + ":@" + evil,
		// Schemes, paths, queries and fragments.
		"https://" + good, "http://" + good, "//" + good, "https:" + good, "file:///" + good, "javascript:" + good, good + "/", good + "/../",
		good + "/@" + evil, evil + "/" + good, evil + "?" + good, evil + "?." + good, evil + "#" + good, evil + "#." + good, evil + "/." + good,
		evil + "\\." + good, evil + "\\" + good, good + "?x=" + evil, good + "#" + evil, evil + ";." + good, evil + "&." + good, evil + "%2f." + good,
		evil + "%23." + good, evil + "%3f." + good, evil + "%00." + good, evil + "%5c." + good, evil + "\x00." + good, evil + "\n." + good,
		// Ports.
		good + ":", good + ":0", good + ":65536", good + ":99999999999", good + ":-1", good + ":+443", good + ":0443", good + ": 443", good + ":443 ",
		good + ":443:443", good + ":https", good + ":4 43", good + ":443/", good + "::443", good + ":٤٤٣", good + ":1e3", good + ":0x1bb", ":443", good + ":443.",
		// Addresses, in the notations that resolvers know.
		"127.0.0.1", "127.1", "127.0.0.1.", "0", "0x7f000001", "2130706433", "0177.0.0.1", "0x7f.1", "169.254.169.254", "[::1]", "::1", "[::1]:443",
		"[" + good + "]", "[::ffff:169.254.169.254]", "fd00:ec2::254", "127.0.0.1:443", "1.2.3", "1.2.3.4.5", "256.1.1.1", "metadata.google.internal",
		// Other alphabets: letters that look alike, full stops that some parsers take for dots, and what folds to ASCII.
		strings.Replace(good, "e", "е", 1), strings.Replace(good, "a", "а", 1), strings.Replace(good, "r", "г", 1), strings.Replace(good, "i", "і", 1),
		strings.ReplaceAll(good, ".", "。"), strings.ReplaceAll(good, ".", "．"), strings.ReplaceAll(good, ".", "｡"), strings.ReplaceAll(good, ".", "․"),
		name + "。" + suffix, "ｅvil." + suffix, "K" + good, "ſ" + good, "ß." + suffix, "xn--." + evil, "xn--" + name + "." + evil, "é." + suffix,
		strings.Replace(good, ".", "\u200b.", 1), strings.Replace(good, ".", "\u00ad.", 1), "\ufeff" + good, good + "\u2028", "\u202e" + good,
		good + "\u0000", "℀." + suffix, "a⁄b." + suffix, "a∕b." + suffix, "a＠b." + suffix, "a：443." + suffix, "a／b." + suffix, "a？b." + suffix, "a＃b." + suffix,
		// Upper case: a host is compared as bytes.
		strings.ToUpper(good), strings.ToUpper(name) + "." + suffix, name + "." + strings.ToUpper(suffix), strings.ToUpper(good[:1]) + good[1:],
		// Bytes that are no text.
		"\xff" + good, good + "\xff", name + "\xc0\xae" + suffix, name + "\xe3\x80" + suffix,
		// Labels that DNS does not allow.
		"-" + good, name + "-." + suffix, name + ".-" + suffix, "_" + good, name + "_." + suffix, "*." + suffix, "**." + suffix, "?." + suffix, "[a]." + suffix,
	}
	// Every ASCII character that no host holds, in every place where a parser could stop, skip or turn.
	for c := range 0x80 {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c >= 'A' && c <= 'Z' {
			continue
		}
		s := string(rune(c))
		hosts = append(hosts, s+good, good+s, name+s+"."+suffix, evil+s+good)
	}
	for _, c := range "./@:?#\\% \t\r\n" {
		hosts = append(hosts, strings.Replace(good, ".", fmt.Sprintf("%%%02x", c), 1), good+fmt.Sprintf("%%%02x", c)+evil, evil+fmt.Sprintf("%%%02X", c)+good)
	}
	// A variation of a letter that the good host lacks is no variation.
	return slices.DeleteFunc(hosts, func(h string) bool { return h == good })
}

// Package cloud emulates, over real HTTPS on the loopback interface, the parts of the clouds that image pulls depend on: the APIs
// that mint registry tokens and a registry that enforces them. It is a library for tests, the demo and the benchmarks, and speaks
// the wire protocols, so that the clouds' own SDKs and ordinary registry clients can be pointed at it unchanged.
package cloud

// Package live asks the real clouds what the emulators only believe. It needs a network, for some tests an account, and the build tag live:
//
//	go test -tags live ./test/cloud/live/ -v
//
// A test that lacks what it needs fails and says which variable to set; -run chooses those of the clouds that you have. The gate only
// compiles them.
package live

package view

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
)

// holding is a cache that holds these ServiceAccounts.
func holding(t *testing.T, accounts ...*corev1.ServiceAccount) *Caches {
	t.Helper()
	tr := &transforms{}
	v := &Caches{held: held{accounts: inBuckets(&toolscache.ListWatch{}, &corev1.ServiceAccount{}, 0, nil).GetIndexer()}}
	for _, sa := range accounts {
		o, err := tr.serviceAccount(sa)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.held.accounts.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func someAccount(namespace, name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, ResourceVersion: fmt.Sprint(1e6 + len(name)), UID: types.UID("7b0f7f0e-54f7-4a0e-9b3c-" + fmt.Sprintf("%012d", len(namespace)+len(name)))}}
}

func TestServiceAccountsAreThoseOfTheNamespace(t *testing.T) {
	var accounts []*corev1.ServiceAccount
	for i := range 2 * buckets { // so that some share a bucket
		accounts = append(accounts, someAccount(fmt.Sprintf("team-%d", i), "default"), someAccount(fmt.Sprintf("team-%d", i), "builder"))
	}
	v := holding(t, accounts...)
	for i := range 2 * buckets {
		namespace := fmt.Sprintf("team-%d", i)
		got, err := ServiceAccounts(t.Context(), v, namespace)
		if err != nil || len(got) != 2 || got[0].Namespace != namespace || got[1].Namespace != namespace || got[0].Name == got[1].Name {
			t.Fatalf("those of %s: %v, %v", namespace, got, err)
		}
	}
	if got, err := ServiceAccounts(t.Context(), v, "none"); err != nil || len(got) > 0 {
		t.Errorf("those of a namespace without any: %v, %v", got, err)
	}
}

func TestServiceAccountsThatNobodyAsksForTakeLittleMemory(t *testing.T) {
	const n = 20_000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	many := func() (accounts []*corev1.ServiceAccount) {
		for i := range n {
			accounts = append(accounts, someAccount(fmt.Sprintf("team-%05d", i/2), fmt.Sprintf("app-%d", i%2)))
		}
		return accounts
	}
	v := holding(t, many()...)
	each := (heap() - before) / n
	t.Logf("each takes %d bytes", each)
	if each > 1200 {
		t.Errorf("each of %d ServiceAccounts takes %d bytes", n, each)
	}
	runtime.KeepAlive(v)
}

// BenchmarkServiceAccountsBesideMany is the look at a namespace whose bucket it shares with one that has very many: who that is nobody can choose.
func BenchmarkServiceAccountsBesideMany(b *testing.B) {
	for _, many := range []int{10, 20_000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			store := inBuckets(&toolscache.ListWatch{}, &corev1.ServiceAccount{}, 0, nil).GetIndexer()
			neighbour := "team-0"
			for i := 1; bucketOf(neighbour)[0] != bucketOf("mallory")[0]; i++ {
				neighbour = fmt.Sprint("team-", i)
			}
			if err := store.Add(someAccount(neighbour, "default")); err != nil {
				b.Fatal(err)
			}
			for i := range many {
				if err := store.Add(someAccount("mallory", fmt.Sprint(i))); err != nil {
					b.Fatal(err)
				}
			}
			v := &Caches{held: held{accounts: store}}
			b.ReportAllocs()
			for b.Loop() {
				if got, err := ServiceAccounts(b.Context(), v, neighbour); err != nil || len(got) != 1 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}

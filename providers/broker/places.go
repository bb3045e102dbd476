package broker

// room says whether the tenant may take a place at the endpoint, if there is one. The administrator's own calls, which have no tenant, may take all.
func (e *endpoint) room(tenant string) bool {
	return tenant == "" || e.taken[tenant] < max(1, e.places/tenantsPart)
}

// take gives a place to a call of the tenant.
func (e *endpoint) take(tenant string) {
	e.busy++
	e.taken[tenant]++
}

// free takes the place back.
func (e *endpoint) free(tenant string) {
	e.busy--
	if e.taken[tenant]--; e.taken[tenant] == 0 {
		delete(e.taken, tenant)
	}
}

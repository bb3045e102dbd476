package cloud

import v1 "github.com/google/go-containerregistry/pkg/v1"

// StoreImage stores an image in the registry of host and returns its digest.
func (g *Google) StoreImage(host, repository, tag string, image v1.Image) (digest string, err error) {
	return g.registry.storeImage(host, repository, tag, image)
}

// StoreImage stores an image in the registry of host and returns its digest.
func (a *Azure) StoreImage(host, repository, tag string, image v1.Image) (digest string, err error) {
	return a.registry.storeImage(host, repository, tag, image)
}

// StoreImage stores an image in the registry of host and returns its digest.
func (j *JFrog) StoreImage(host, repository, tag string, image v1.Image) (digest string, err error) {
	return j.registry.storeImage(host, repository, tag, image)
}

// StoreImage stores an image and returns its digest. The Hub's host is known.
func (h *DockerHub) StoreImage(_, repository, tag string, image v1.Image) (digest string, err error) {
	return h.registry.storeImage(hubRegistry, repository, tag, image)
}

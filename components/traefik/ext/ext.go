// Package ext stands in for upstream's module of this name, which is not published on its own: the types that a build of
// Traefik may extend its dynamic configuration with. Upstream's are empty too.
package ext

// HTTP is inlined in the dynamic configuration of HTTP.
type HTTP struct{}

// Router is inlined in the dynamic configuration of an HTTP router.
type Router struct{}

package v1alpha1_test

import "slices"

const (
	pluginIdentityMessage = "plugin takes no identity.secretRef: a plugin gets a ServiceAccount's token or uses an identity of its own"
	pluginNameMessage     = "name must be the file name of a plugin: letters, digits, '.', '_' and '-', not starting with '.' or '-'"
	imageMessage          = "image must be an image or its registry, such as registry.example.com/team/app"

	pluginEntry = "spec.registries[10]"
	plugin      = pluginEntry + ".plugin"
)

func goodPlugin() []goodCase {
	const image = plugin + ".image"
	return []goodCase{
		{plugin, "{name: a, image: registry.example}"},
		{plugin + ".name", "_Plugin-1.exe"},
		{plugin + ".name", chars(63)},
		{image, "registry.example:65535/team/app:V1.0_a"},
		{image, "10.0.0.1:5000/app"},
		{image, "registry.example/app@sha256:" + chars(64)},
		{image, longHost() + "/" + chars(512-253-1)},
		{plugin + ".hosts", "[" + numbered(63, "registry%d.example") + "]"},
		{pluginEntry + ".identity", ""},
	}
}

func badPlugin() []badCase {
	const name, image, hosts = plugin + ".name", plugin + ".image", plugin + ".hosts"
	return slices.Concat(
		badList(hosts, 63, "registry%d.example"),
		badHosts(hosts+"[0]"),
		[]badCase{
			{"a plugin and a Secret", pluginEntry + ".identity", "{secretRef: {name: a}}", pluginEntry, pluginIdentityMessage},
			{"a plugin without name", name, "", name, "Required value"},
			{"a plugin without image", image, "", image, "Required value"},
			tooLong(name, 63),
			tooLong(image, 512),
		},
		refused(name, pluginNameMessage, "", ".", "..", "../a", "a/b", "-a", ".a", "a b", "a;b", "a\x00"),
		refused(image, imageMessage, "", "/app", "https://registry.example/app", "Registry.example/app", "registry.example:65536/app", "registry.example:0",
			"registry.example/", "registry.example/a b", "registry.example/app?a", "user@registry.example/app", "127.1/app", "0x7f.1:443/app", "2130706433",
			longHost()+"a/app", "*.registry.example"),
	)
}

package main

// This file draws the single fields that the checks read. Each function is used
// both by the wild generator and by the mutations of compliant pods.

var defaultCapabilities = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
	"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

var knownSysctls = []string{
	"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
	"net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
	"net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat",
}

var legacyVolumes = []string{
	"hostPath", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi",
	"glusterfs", "rbd", "flexVolume", "cinder", "cephfs", "flocker", "fc", "azureFile",
	"vsphereVolume", "quobyte", "azureDisk", "photonPersistentDisk", "portworxVolume",
	"scaleIO", "storageos",
}

var allowedVolumes = []string{
	"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
	"persistentVolumeClaim", "projected", "secret",
}

func capability(g gen) any {
	switch g.IntN(10) {
	case 0, 1, 2, 3:
		return pick(g, defaultCapabilities)
	case 4, 5:
		return pick(g, []string{"NET_ADMIN", "SYS_ADMIN", "NET_RAW", "SYS_PTRACE", "BPF"})
	case 6:
		return "ALL"
	case 7:
		return pick(g, []string{"all", "CAP_CHOWN", "CAP_NET_BIND_SERVICE", "chown", "net_bind_service", "CAP_ALL"})
	case 8:
		return "NET_BIND_SERVICE"
	default:
		return oddText(g)
	}
}

func capabilities(g gen) any {
	c := obj{}
	g.put(c, 60, "add", func(g gen) any { return g.some(0, 3, capability) })
	if g.chance(50) {
		c["drop"] = list{"ALL"}
	} else {
		g.put(c, 60, "drop", func(g gen) any { return g.some(0, 3, capability) })
	}
	return c
}

func seLinuxOptions(g gen) any {
	o := obj{}
	g.put(o, 60, "type", func(g gen) any {
		return pick(g, []string{
			"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t",
			"spc_t", "Container_t", "other_t", oddText(g),
		})
	})
	g.put(o, 30, "user", among("", "system_u", "0"))
	g.put(o, 30, "role", among("", "system_r", " "))
	g.put(o, 20, "level", among("", "s0:c1,c2"))
	return o
}

func seccompProfile(g gen) any {
	o := obj{}
	g.put(o, 95, "type", func(g gen) any {
		return pick(g, []string{
			"RuntimeDefault", "RuntimeDefault", "Localhost", "Unconfined", "Unconfined", "",
			"runtime/default", "runtimeDefault", oddText(g),
		})
	})
	g.put(o, 20, "localhostProfile", among("p.json", nil))
	return o
}

func appArmorProfile(g gen) any {
	o := obj{}
	g.put(o, 90, "type", func(g gen) any {
		return pick(g, []string{
			"RuntimeDefault", "RuntimeDefault", "Localhost", "Unconfined", "Unconfined", "",
			"localhost", oddText(g),
		})
	})
	g.put(o, 20, "localhostProfile", among("p", nil))
	return o
}

func windowsOptions(g gen) any {
	o := obj{}
	g.put(o, 80, "hostProcess", among(true, true, false, nil))
	g.put(o, 20, "runAsUserName", among("ContainerUser"))
	return o
}

func podOS(g gen) any {
	return pick(g, []any{
		obj{"name": "linux"}, obj{"name": "windows"}, obj{"name": "windows"},
		obj{"name": "Windows"}, obj{"name": ""}, obj{}, nil,
	})
}

func sysctl(g gen) any {
	o := obj{"name": pick(g, knownSysctls), "value": "1"}
	if g.chance(35) {
		o["name"] = pick(g, []string{
			"kernel.msgmax", "net.core.somaxconn", "net.ipv4.tcp_mem", "net/ipv4/tcp_syncookies",
			"Kernel.shm_rmid_forced", "", oddText(g),
		})
	}
	return o
}

func port(g gen) any {
	p := obj{"containerPort": 1 + g.IntN(65535)}
	g.put(p, 50, "hostPort", among(0, 0, 9, 80, 80, 443, 1000, 8080, 65535, -1, nil))
	g.put(p, 20, "protocol", among("TCP", "UDP", "SCTP"))
	g.put(p, 20, "hostIP", among("127.0.0.1", ""))
	g.put(p, 20, "name", among("http", "metrics"))
	return p
}

func hostName(g gen) any {
	return pick(g, []any{"", "", "127.0.0.1", "localhost", "bad.host", "::1", "z", "B", oddText(g), nil})
}

// handler draws the action of a probe or of a lifecycle hook.
func handler(g gen) any {
	h := obj{}
	if g.chance(55) {
		a := obj{"path": "/", "port": pick(g, []any{80, "http"})}
		g.put(a, 65, "host", hostName)
		g.put(a, 15, "httpHeaders", among(list{obj{"name": "Host", "value": "evil.example"}}))
		h["httpGet"] = a
	}
	if g.chance(40) {
		a := obj{"port": 80}
		g.put(a, 65, "host", hostName)
		h["tcpSocket"] = a
	}
	g.put(h, 10, "exec", among(obj{"command": list{"true"}}, nil))
	return h
}

func probe(g gen) any {
	p := handler(g).(obj)
	g.put(p, 15, "grpc", among(obj{"port": 9000, "service": "x"}))
	g.put(p, 20, "periodSeconds", among(5))
	return p
}

func lifecycle(g gen) any {
	l := obj{}
	g.put(l, 60, "postStart", handler)
	g.put(l, 60, "preStop", handler)
	return l
}

// volumeSource draws the body of a source. An empty one is present all the
// same, a null one is absent: the checks look at presence alone.
func volumeSource(kind string) func(gen) any {
	return func(g gen) any {
		if g.chance(30) {
			return obj{}
		}
		if g.chance(6) {
			return nil
		}
		switch kind {
		case "hostPath":
			return obj{"path": "/var/log"}
		case "configMap":
			return obj{"name": "settings"}
		case "secret":
			return obj{"secretName": "token"}
		case "nfs":
			return obj{"server": "nfs.example", "path": "/"}
		case "projected":
			return obj{"sources": list{}}
		case "persistentVolumeClaim":
			return obj{"claimName": "data"}
		default:
			return obj{}
		}
	}
}

var volumeNames = []string{"v", "w", "data", "tmp", "cache", "A"}

func namedVolume(g gen) obj {
	if g.chance(12) {
		return obj{"name": oddText(g)}
	}
	return obj{"name": pick(g, volumeNames)}
}

func allowedVolume(g gen) any {
	v := namedVolume(g)
	v[pick(g, allowedVolumes)] = obj{}
	return v
}

func badVolume(g gen) any {
	v := namedVolume(g)
	switch g.IntN(12) {
	case 0: // no source at all
	case 1: // a source of the future
		v["teleport"] = obj{"to": "mars"}
	case 2, 3: // several at once
		for range 2 + g.IntN(2) {
			kind := pick(g, legacyVolumes)
			v[kind] = volumeSource(kind)(g)
		}
	case 4: // an allowed one hides the others
		kind := pick(g, legacyVolumes)
		v[kind] = volumeSource(kind)(g)
		kind = pick(g, allowedVolumes)
		v[kind] = volumeSource(kind)(g)
	case 5, 6:
		v["hostPath"] = volumeSource("hostPath")(g)
	default:
		kind := pick(g, legacyVolumes)
		v[kind] = volumeSource(kind)(g)
	}
	return v
}

// profileAnnotation writes one of the old AppArmor or seccomp annotations. The
// seccomp ones count only for containers that exist, the AppArmor ones always.
func profileAnnotation(g gen, annotations obj, container string) {
	if g.chance(15) {
		container = oddText(g)
	}
	var key string
	switch g.IntN(8) {
	case 0, 1:
		key = "seccomp.security.alpha.kubernetes.io/pod"
	case 2, 3, 4:
		key = "container.seccomp.security.alpha.kubernetes.io/" + container
	default:
		key = "container.apparmor.security.beta.kubernetes.io/" + container
	}
	annotations[key] = pick(g, []any{
		"runtime/default", "docker/default", "localhost/p", "localhost/", "unconfined",
		"unconfined", "", "Runtime/default", "unconfined " + oddText(g), oddText(g), oddText(g), nil,
	})
}

package cluster

import "fmt"

// A Config says what a cluster is made of.
type Config struct {
	Dir           string // of the data and the logs; absolute
	Scheduler     string // host:port for Bazel's --remote_executor
	Store         string // host:port for Bazel's --remote_cache
	Workers       int    // each runs one action at a time
	MaxSize       uint   // GiB in the store
	WorkerMaxSize uint   // GiB of inputs at each worker
	Programs      Programs
}

// Programs are the paths of what a cluster runs.
type Programs struct {
	BazelRemote, Scheduler, Worker, Runner string
	Bash, Busybox                          string // static: all that there is in a worker's root
}

// Buildbarn reads Jsonnet with the names of its protocol buffers; JSON is Jsonnet.
type object = map[string]any

// maxMessage is the size in bytes of the largest message: a folder of an action's inputs with all its names.
const maxMessage = 16 << 20

// schedulerSocket is where workers find the scheduler, from Config.Dir. A socket's path has at most 107 bytes, so the
// programs run in that folder and the path is relative.
const schedulerSocket = "scheduler.sock"

// anyone may call a server that only this machine reaches.
var anyone = object{"allow": object{}}

func (c Config) scheduler() object {
	return object{
		"clientGrpcServers":         []object{{"listenAddresses": []string{c.Scheduler}, "authenticationPolicy": anyone}},
		"workerGrpcServers":         []object{{"listenPaths": []string{schedulerSocket}, "authenticationPolicy": anyone}},
		"contentAddressableStorage": c.store(),
		"maximumMessageSizeBytes":   maxMessage,
		"executeAuthorizer":         anyone,
		"modifyDrainsAuthorizer":    anyone,
		"killOperationsAuthorizer":  anyone,
		"synchronizeAuthorizer":     anyone,
		"actionRouter": object{"simple": object{
			"platformKeyExtractor":    object{"action": object{}},
			"invocationKeyExtractors": []object{{"toolInvocationId": object{}}}, // two builds at once get half each
			"initialSizeClassAnalyzer": object{
				"defaultExecutionTimeout": "1800s",
				"maximumExecutionTimeout": "7200s",
			},
		}},
		// Without a worker for that long, an action fails instead of waiting.
		"platformQueueWithNoWorkersTimeout": "900s",
		"global":                            object{},
	}
}

func (c Config) worker(w worker) object {
	return object{
		"blobstore": object{
			"contentAddressableStorage": c.store(),
			"actionCache":               c.store(),
		},
		"maximumMessageSizeBytes": maxMessage,
		"scheduler":               object{"address": "unix:" + schedulerSocket},
		"global":                  object{},
		"buildDirectories": []object{{
			"native": object{
				"buildDirectoryPath":     w.build(),
				"cacheDirectoryPath":     w.cache(),
				"maximumCacheFileCount":  100000,
				"maximumCacheSizeBytes":  uint64(c.WorkerMaxSize) << 30,
				"cacheReplacementPolicy": "LEAST_RECENTLY_USED",
			},
			"runners": []object{{
				"endpoint":    object{"address": "unix:" + w.name + "/run/" + runnerSocket},
				"concurrency": 1,
				"platform":    object{},
				"workerId":    object{"worker": w.name},
			}},
		}},
		"directoryCache": object{
			"maximumCount":           100000,
			"maximumSizeBytes":       100 << 20,
			"cacheReplacementPolicy": "LEAST_RECENTLY_USED",
		},
		"inputDownloadConcurrency": 10,
		"outputUploadConcurrency":  10,
	}
}

// runner is the configuration of the program that starts actions; its paths are those of a worker's root.
func (c Config) runner() object {
	return object{
		"buildDirectoryPath": rootBuild,
		"grpcServers": []object{{
			"listenPaths":          []string{rootRun + "/" + runnerSocket},
			"authenticationPolicy": anyone,
		}},
		// Temporary files go with the action.
		"setTmpdirEnvironmentVariable": true,
		"cleanTemporaryDirectories":    []string{"/tmp"},
		"global":                       object{},
	}
}

func (c Config) store() object { return object{"grpc": object{"address": c.Store}} }

func (c Config) bazelRemote() []string {
	return []string{
		"--dir=" + c.Dir + "/store",
		fmt.Sprintf("--max_size=%d", c.MaxSize),
		"--grpc_address=" + c.Store,
		// Unused, and cannot be left out.
		"--http_address=unix://" + storeSocket,
		"--access_log_level=none",
	}
}

const storeSocket = "store.sock"

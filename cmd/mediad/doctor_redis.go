package main

import (
	"context"
	"fmt"
	"time"

	"mediad/store/redis"
)

func (d *doctor) examineRedis(ctx context.Context) {
	const name = "redis"
	if d.config.Redis.URL == "" {
		d.say(finding{name: name, text: "none: this node shares nothing with others"})
		return
	}
	client, err := redis.Open(d.config.Redis.URL, nil)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "look at redis.url"})
		return
	}
	defer client.Close()
	server, err := client.Server(ctx)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true,
			advice: "look at host, port, user and password in redis.url and at the server's log; until then each node decides alone"})
		return
	}
	version := "of unknown version"
	if server.Version != "" {
		version = server.Version
	}
	d.say(finding{name: name, text: fmt.Sprintf("Redis %s at %s answers within %s", version, client.Where(), server.Took.Round(10*time.Microsecond))})
}

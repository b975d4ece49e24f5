// Package api measures the API as it is asked over the network.
package api

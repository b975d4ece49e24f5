// Package e2e holds the end-to-end tests: the built binary, real encoders and real players, each server on free ports and a data
// folder of its own. They carry the build tag e2e and run by `make e2e`; with -soak the faults have their full length.
package e2e

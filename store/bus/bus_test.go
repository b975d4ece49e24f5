package bus_test

import (
	"testing"

	"mediad/internal/testx"
	"mediad/store/bus"
	"mediad/store/bus/bustest"
)

func TestMain(m *testing.M) { testx.Main(m) }

func TestLocal(t *testing.T) {
	bustest.Run(t, func(*testing.T) (a, b bus.Bus) {
		l := &bus.Local{}
		return l, l
	})
}

package river_test

import (
	"testing"

	"mediad/internal/testx"
)

func TestMain(m *testing.M) { testx.Main(m) }

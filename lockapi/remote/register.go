package remote

import "github.com/lockd-io/lockd/lockapi"

func init() { lockapi.Register(Scheme, openURL) }

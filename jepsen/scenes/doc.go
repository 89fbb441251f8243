// Package scenes stages, one by one, the histories by which a lock service of this
// kind may go wrong: three nodes in this process over loopback, clients that do what
// the scene says and not what chance has, and a verdict of what befell them.
//
// The suite above tries what comes, for as long as it is let; a scene is there each
// time. What one machine can be made to do by itself is tested there: see
// docs/testing.md for where each history is.
package scenes

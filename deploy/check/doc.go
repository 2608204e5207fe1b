// Package check tests the files in deploy with the libraries of the programs that read them.
// It is a module of its own, so that these libraries are not among those of the product:
//
//	make deploy-check
package check

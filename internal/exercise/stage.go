package exercise

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Stage is what is in the namespace before the program of the named exercise starts.
func Stage(name string) []*corev1.ConfigMap {
	switch name {
	case "01-throttled":
		var shelves []*corev1.ConfigMap
		for n := 1; n <= Shelves; n++ {
			shelves = append(shelves, configMap(fmt.Sprintf("shelf-%02d", n), "books", fmt.Sprint(20+n*7%40)))
		}
		return shelves
	case "05-too-early":
		return []*corev1.ConfigMap{configMap("settings", "color", "blue")}
	case "06-factory-per-request":
		var fruits []*corev1.ConfigMap
		for i, name := range Fruits {
			fruits = append(fruits, configMap(name, "price", fmt.Sprint(2+i*5%9)))
		}
		return fruits
	case "10-slow-handler":
		return []*corev1.ConfigMap{configMap("door", "color", "white"), configMap("report", "door", "")}
	case "11-conflict":
		return []*corev1.ConfigMap{configMap("counter", "count", "100")}
	case "12-created-twice":
		return []*corev1.ConfigMap{configMap("app", "color", "blue")}
	}
	return []*corev1.ConfigMap{
		configMap("door", "color", "blue"), configMap("gate", "color", "gray"), configMap("wall", "color", "white"),
	}
}

// Shelves is how many ConfigMaps exercise 01 reads.
const Shelves = 25

// Fruits are the ConfigMaps that exercise 06 is asked for.
var Fruits = []string{
	"apple", "banana", "cherry", "date", "elderberry", "fig", "grape", "kiwi", "lemon", "mango", "orange", "pear",
}

func configMap(name, key, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{key: value}}
}

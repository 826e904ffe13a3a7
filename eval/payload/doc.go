// Package payload measures how well strings and requests that carry code are
// told from those that do not: it reads labelled sets, scores them with one or
// several scorers, and states what was found at which rate of false alarms.
//
// Whatever is fixed by looking at rows, such as a threshold, says which rows it
// looked at; nothing is learnt from rows that are judged.
package payload

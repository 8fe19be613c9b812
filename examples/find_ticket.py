"""Finds tickets of LeNet-300-100 on the digits, with both controls, and says where the report is."""

import lth

if __name__ == "__main__":  # workers import this file
    found = lth.find_ticket("lenet-300-100", "digits", levels=5, rate=0.4, replicates=3, duration="300it")
    for sentence in found.verdict["sentences"]:
        print(sentence)
    print(f"Report: {found.report}")

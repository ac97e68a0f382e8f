"""`silex rules test` and `silex rules check` give the verdict and the exit status of Debian's promtool on every file of cases/:
pass_*.yml and fail_*.yml are unit tests, *.rules.yml rule files, of which bad_* are refused. Without promtool only our own
verdicts are compared with the names."""
import glob
import os
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")
SILEX = sys.argv.pop(1) if len(sys.argv) > 1 else os.path.join(HERE, "../../build/silex")
PROMTOOL = shutil.which("promtool")


def run(*words):
    p = subprocess.run(words, cwd=CASES, capture_output=True, text=True, timeout=60)
    return p.returncode, p.stdout + p.stderr


def files(pattern, but="\0"):
    return sorted(os.path.basename(f) for f in glob.glob(os.path.join(CASES, pattern)) if but not in f)


class Verdicts(unittest.TestCase):
    def compare(self, name, good, ours, theirs):
        with self.subTest(name):
            status, text = run(SILEX, "rules", *ours, name)
            self.assertEqual(status, 0 if good else 1, text)
            self.assertIn("SUCCESS" if good else "FAILED", text)
            if PROMTOOL:
                status, text = run(PROMTOOL, *theirs, name)
                self.assertEqual(status, 0 if good else 1, text)

    def test_unit_tests(self):
        names = files("pass_*.yml") + files("fail_*.yml")
        self.assertGreaterEqual(len(names), 30)
        for name in names:
            self.compare(name, name.startswith("pass_"), ["test"], ["test", "rules"])

    def test_rule_files(self):
        for name in files("*.rules.yml"):
            self.compare(name, not name.startswith("bad_"), ["check"], ["check", "rules"])

    def test_errors_name_the_place(self):
        for name in files("bad_*.rules.yml", "bad_yaml"):
            with self.subTest(name):
                self.assertRegex(run(SILEX, "rules", "check", name)[1], rf"  {name}:1:\d+: ")


if __name__ == "__main__":
    unittest.main()

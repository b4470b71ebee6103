"""What `hub demo` brings along: simulated people, a simulated PagerDuty and a webhook catcher. Never real money."""

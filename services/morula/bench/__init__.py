"""What `morula bench` measures, stage by stage."""

"""booking/services"""
